// Loads any bytes as a saved state of a small model. Either State::load() throws an Error with a
// one-line message and leaves the state unchanged, or the model continues from the loaded state.
// Most mutations fail at the checksum of the file. So the fuzzer also copies the same bytes
// directly into a state, and the model must continue with any numbers in the state.
//
// An input is a whole file. If the header length in the input is larger than the input, the fuzzer
// reduces this length.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "bitaxon/devices.h"
#include "bitaxon/model.h"
#include "fuzz/expected_error.h"
#include "fuzz/memory_file.h"
#include "model/families/bit_axon.h"

namespace bitaxon {
namespace {

/// The configuration of the model. The files in corpus/fuzz_state are states of Model::random()
/// with this configuration and seed 1.
BitAxonConfig tiny_config() {
  BitAxonConfig config;
  config.vocab_size = 40;
  config.hidden_dim = 4;
  config.num_layers = 3;
  config.num_heads = 2;
  config.d_source_model = 2;
  config.ssm_d_state = 1;
  config.ssm_d_conv = 2;
  config.ssm_expand = 1;
  config.swa_window_size = 3;
  config.moe_num_experts = 2;
  config.moe_top_k = 1;
  config.moe_intermediate_dim = 2;
  config.max_seq_len = 100;
  return config;
}

struct Fixture {
  std::shared_ptr<Backend> backend = open_device("cpu", {.n_threads = 1}).backend;
  Model model = Model::random(backend, tiny_config().spec(), 1, options());
  State state = model.new_state();
  StateSnapshot before;

  Fixture() {
    const std::int32_t ids[] = {1, 2, 3, 4, 5};
    model.feed(state, ids, StepOutput::none);
    before = state.snapshot();
  }
  static LoadOptions options() {
    LoadOptions options;
    options.precision = Precision::exact;
    options.run_ahead = 1;
    return options;
  }
  void go_on() {
    if (state.position() == tiny_config().max_seq_len) return;
    const std::int32_t id = 7;
    SamplerParams sampler;
    const auto result = model.wait(model.feed(state, {&id, 1}, StepOutput::token, sampler));
    if (result.tokens[0] < -1 || result.tokens[0] >= tiny_config().vocab_size)
      fuzzer_failed("no token", std::to_string(result.tokens[0]));
  }
};

Fixture& fixture() {
  static Fixture one;
  return one;
}

void load(std::string_view bytes) {
  const MemoryFile file(bytes);
  const std::string path = file.path();
  State& state = fixture().state;
  state.restore(fixture().before);
  try {
    state.load(path);
    fixture().go_on();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
    check_message(error, path + ": ");
    if (!(state.snapshot() == fixture().before)) fuzzer_failed("state changed", error.what());
  }
}

void restore(std::string_view bytes) {
  StateSnapshot snapshot = fixture().before;
  if (!bytes.empty()) snapshot.position = static_cast<signed char>(bytes[0]);
  for (auto& tensor : snapshot.tensors) {
    const std::size_t n = std::min(tensor.size(), bytes.size());
    if (n > 0) std::memcpy(tensor.data(), bytes.data(), n);
    bytes.remove_prefix(n);
  }
  State& state = fixture().state;
  state.restore(fixture().before);
  try {
    state.restore(snapshot);
    if (!(state.snapshot() == snapshot)) fuzzer_failed("restored otherwise", "");
    fixture().go_on();
  } catch (const Error& error) {
    check_message(error, "[state] snapshot: ");
    if (!(state.snapshot() == fixture().before)) fuzzer_failed("state changed", error.what());
  }
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  bitaxon::restore(bytes);
  bitaxon::load(bytes);
  if (size < 8) return 0;
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) length |= std::uint64_t{data[i]} << (8 * i);
  length = std::min<std::uint64_t>(length, size - 8);
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>((length >> (8 * i)) & 0xff);
  bitaxon::load(bytes);
  return 0;
}
