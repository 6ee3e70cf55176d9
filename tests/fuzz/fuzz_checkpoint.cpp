// Passes any bytes to the readers of a checkpoint of training. The first byte says which file of the
// checkpoint they are: '0' training_state.json, '1' the adapter, '2' the state of the optimizer of an
// adapter with two tensors. A reader must throw an Error with a one-line message, or return finite
// numbers.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/expected_error.h"
#include "fuzz/memory_file.h"
#include "training/run/checkpoint_files.h"

namespace bitaxon {
namespace {

void expect_finite(const std::vector<float>& values) {
  for (const float value : values)
    if (!std::isfinite(value)) fuzzer_failed("not finite", std::to_string(value));
}

/// The written state must be read as the same state.
void parse_state(std::string_view text) {
  const RunState state = parse_run_state(text, "input");
  const std::string written = text_of(state);
  bool is_upstreams = false;
  if (text_of(parse_run_state(written, "input", &is_upstreams)) != written || is_upstreams)
    fuzzer_failed("read otherwise", written);
}

void read_adapter(const std::string& path) {
  for (const auto& [name, tensor] : read_adapter_tensors(path).tensors) {
    if (static_cast<std::int64_t>(tensor.values.size()) != tensor.shape.elements())
      fuzzer_failed("wrong size", name);
    expect_finite(tensor.values);
  }
}

void read_moments(const std::string& path) {
  TrainCheckpoint checkpoint;
  checkpoint.tensors["q.lora_a"] = {{3, 2}, std::vector<float>(6), {}, {}};
  checkpoint.tensors["q.lora_b"] = {{2, 1}, std::vector<float>(2), {}, {}};
  read_optimizer(path, checkpoint);
  for (const auto& [name, tensor] : checkpoint.tensors) {
    expect_finite(tensor.first_moments);
    expect_finite(tensor.second_moments);
  }
}

void read(std::string_view input) {
  if (input.empty()) return;
  const std::string_view bytes = input.substr(1);
  const MemoryFile file(bytes);
  const std::string begin = input[0] == '0' ? "input: " : file.path() + ": ";
  try {
    if (input[0] == '0') parse_state(bytes);
    if (input[0] == '1') read_adapter(file.path());
    if (input[0] == '2') read_moments(file.path());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format && error.kind() != ErrorKind::unsupported &&
        error.kind() != ErrorKind::io)
      fuzzer_failed("wrong kind", error.what());
    check_message(error, begin);
  }
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bitaxon::read({reinterpret_cast<const char*>(data), size});
  return 0;
}
