// Passes any bytes to parse_json(). The function must throw Error(format), or return a value that
// stays the same when it is written and read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "formats/json.h"
#include "fuzz/expected_error.h"

namespace bitaxon {
namespace {

constexpr JsonLimits kLimits{.max_bytes = 1 << 16, .max_depth = 6};

int depth_of(const Json& json) {
  int deepest = 0;
  for (const Json& element : json)
    if (element.is_structured()) deepest = std::max(deepest, depth_of(element));
  return deepest + 1;
}

void parse(std::string_view text) {
  Json json;
  try {
    json = parse_json(text, "input", kLimits);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format) fuzzer_failed("wrong kind", error.what());
    check_message(error, "input: ");
    return;
  }
  if (json.is_structured() && depth_of(json) > kLimits.max_depth)
    fuzzer_failed("too deep", json.dump());
  // This limit is larger, because dump() may write a number with more digits than the input
  // ("1e15").
  const JsonLimits roomy{.max_bytes = kLimits.max_bytes * 8, .max_depth = kLimits.max_depth};
  if (parse_json(json.dump(), "again", roomy) != json) fuzzer_failed("not the same", json.dump());
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bitaxon::parse({reinterpret_cast<const char*>(data), size});
  return 0;
}
