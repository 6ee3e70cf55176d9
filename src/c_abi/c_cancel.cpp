#include "bitaxon/c/bitaxon.h"
#include "c_abi/handles.h"

using namespace bitaxon::c;

// A signal handler may store a flag only if that takes no lock.
static_assert(std::atomic<bool>::is_always_lock_free);

bitaxon_status bitaxon_cancel_new(bitaxon_cancel** cancel) {
  return guard([&] {
    not_null(cancel, "cancel");
    give(cancel);
  });
}

void bitaxon_cancel_set(bitaxon_cancel* cancel) {
  if (cancel != nullptr) *cancel->flag = true;
}

void bitaxon_cancel_clear(bitaxon_cancel* cancel) {
  if (cancel != nullptr) *cancel->flag = false;
}

int32_t bitaxon_cancel_is_set(const bitaxon_cancel* cancel) {
  return cancel != nullptr && *cancel->flag ? 1 : 0;
}

void bitaxon_cancel_free(bitaxon_cancel* cancel) { delete cancel; }
