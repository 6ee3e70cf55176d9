#include "bitaxon/c/bitaxon.h"
#include "c_abi/loaded_model.h"

using namespace bitaxon;
using namespace bitaxon::c;

namespace {

/// Replaces the state by one that `fill_in` has filled, or not at all.
template <class FillIn>
void replace(StateUse& use, const FillIn& fill_in) {
  State fresh = use.session().model.new_state();
  fill_in(fresh);
  use.state() = std::move(fresh);
}

}  // namespace

bitaxon_status bitaxon_state_new(bitaxon_model* model, bitaxon_state** state) {
  return guard([&] {
    const std::shared_ptr<LoadedModel> loaded = not_null(model, "model").loaded;
    not_null(state, "state");
    const LoadedModel::Use use(*loaded);
    loaded->check_free_state();
    give(state, std::make_shared<SharedState>(loaded, loaded->session.model.new_state()));
  });
}

void bitaxon_state_free(bitaxon_state* state) { delete state; }

bitaxon_status bitaxon_state_fork(bitaxon_state* state, bitaxon_state** fork) {
  return guard([&] {
    StateUse use(state);
    not_null(fork, "fork");
    const std::shared_ptr<LoadedModel>& loaded = use.shared()->model;
    loaded->check_free_state();
    give(fork, std::make_shared<SharedState>(loaded, use.state().fork()));
  });
}

bitaxon_status bitaxon_state_position(bitaxon_state* state, int64_t* position) {
  return guard([&] {
    StateUse use(state);
    not_null(position, "position") = use.state().position();
  });
}

bitaxon_status bitaxon_state_reset(bitaxon_state* state) {
  return guard([&] { StateUse(state).state().reset(); });
}

bitaxon_status bitaxon_state_rewind(bitaxon_state* state, int32_t n_steps) {
  return guard([&] { StateUse(state).state().rewind(n_steps); });
}

bitaxon_status bitaxon_state_rewindable(bitaxon_state* state, int32_t* n_steps) {
  return guard([&] {
    StateUse use(state);
    not_null(n_steps, "n_steps") = use.state().rewindable_steps();
  });
}

bitaxon_status bitaxon_state_snapshot(bitaxon_state* state, bitaxon_buffer* bytes) {
  return guard([&] {
    StateUse use(state);
    not_null(bytes, "bytes");
    const std::vector<std::byte> taken = use.state().to_bytes();
    fill(bytes, bytes_of(std::span(taken)));
  });
}

bitaxon_status bitaxon_state_restore(bitaxon_state* state, const void* bytes, uint64_t n_bytes) {
  return guard([&] {
    StateUse use(state);
    constexpr auto kMost = static_cast<std::uint64_t>(PTRDIFF_MAX);
    const auto given = span_of(static_cast<const std::byte*>(bytes), n_bytes, kMost, "bytes");
    replace(use, [&](State& fresh) { fresh.from_bytes(given); });
  });
}

bitaxon_status bitaxon_state_save(bitaxon_state* state, const char* path, uint64_t path_size) {
  return guard([&] {
    StateUse use(state);
    use.state().save(path_of(path, path_size, "path"));
  });
}

bitaxon_status bitaxon_state_load(bitaxon_state* state, const char* path, uint64_t path_size) {
  return guard([&] {
    StateUse use(state);
    const std::filesystem::path file = path_of(path, path_size, "path");
    replace(use, [&](State& fresh) { fresh.load(file); });
  });
}
