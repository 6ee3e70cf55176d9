// Passes any bytes to BitAxonConfig::parse(). The function must throw Error(format) with a one-line
// message, or return a valid configuration. Every key that to_json() writes must stay the same when
// the configuration is written and read again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fuzz/expected_error.h"
#include "model/families/bit_axon.h"

namespace bitaxon {
namespace {

void parse(std::string_view text) {
  std::vector<std::string> warnings;
  BitAxonConfig config;
  try {
    config = BitAxonConfig::parse(text, "input", warnings);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
    check_message(error, "input: ");
    return;
  }
  for (const std::string& warning : warnings)
    check_message(Error(ErrorKind::format, warning), "input: ");
  warnings.clear();
  const std::string written = config.to_json();
  BitAxonConfig again = BitAxonConfig::parse(written, "again", warnings);
  // to_json() omits these on purpose.
  again.quantization = config.quantization;
  again.eos_token_ids = config.eos_token_ids;
  if (!(again == config) || !warnings.empty()) fuzzer_failed("not the same", written);
  // All factors are within their limits, so these products must not overflow.
  if (config.spec().n_blocks() != config.num_layers) fuzzer_failed("blocks", written);
  if (config.head_dim() * config.num_heads != config.hidden_dim) fuzzer_failed("head_dim", written);
  if (config.d_inner() < config.hidden_dim) fuzzer_failed("d_inner", written);
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bitaxon::parse({reinterpret_cast<const char*>(data), size});
  return 0;
}
