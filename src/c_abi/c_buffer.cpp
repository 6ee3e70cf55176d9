#include "bitaxon/c/bitaxon.h"
#include "c_abi/handles.h"

using namespace bitaxon::c;

bitaxon_status bitaxon_buffer_new(bitaxon_buffer** buffer) {
  return guard([&] {
    not_null(buffer, "buffer");
    give(buffer);
  });
}

const void* bitaxon_buffer_data(const bitaxon_buffer* buffer) {
  return buffer == nullptr ? "" : buffer->bytes.data();
}

uint64_t bitaxon_buffer_size(const bitaxon_buffer* buffer) {
  return buffer == nullptr ? 0 : buffer->bytes.size();
}

void bitaxon_buffer_free(bitaxon_buffer* buffer) { delete buffer; }
