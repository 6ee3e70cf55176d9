// Passes any bytes to parse_adapter_config(). The function must throw Error(format, unsupported) with
// a one-line message, or return a configuration that gives a finite scale or refuses the rank.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "fuzz/expected_error.h"
#include "model/adapter_config.h"

namespace bitaxon {
namespace {

void parse(std::string_view text, AdapterLayout layout) {
  try {
    const AdapterConfig config = parse_adapter_config(text, "input", layout);
    for (const char* path : {"", "q_proj", "model.layers.0.self_attn.q_proj"}) {
      const double scale = config.scale_of(path, 8);
      if (!std::isfinite(scale)) fuzzer_failed("no finite scale", text);
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format && error.kind() != ErrorKind::unsupported)
      fuzzer_failed("wrong kind", error.what());
    check_message(error, "input: ");
  }
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  bitaxon::parse(text, bitaxon::AdapterLayout::mlx);
  bitaxon::parse(text, bitaxon::AdapterLayout::peft);
  return 0;
}
