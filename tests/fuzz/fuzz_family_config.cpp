// Passes any bytes to describe_model() and to QuantizationConfig. describe_model() must throw
// Error(format, unsupported) with a one-line message, or return a description whose sizes are valid.
// Everything that the results of a model depend on must be in ModelSpec::config, because the
// fingerprint of a model includes only this text.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "formats/json.h"
#include "formats/quantization_config.h"
#include "fuzz/expected_error.h"
#include "model/weights.h"

namespace bitaxon {
namespace {

void check_kind(const Error& error) {
  if (error.kind() != ErrorKind::format && error.kind() != ErrorKind::unsupported)
    fuzzer_failed("wrong kind", error.what());
}

void check_sizes(const ModelSpec& spec) {
  for (const WeightSlot& slot : weight_slots(spec)) {
    // A product of all extents must not overflow.
    std::int64_t left = INT64_MAX;
    for (const std::int64_t extent : slot.shape.dims()) {
      if (extent < 1) fuzzer_failed("an empty weight", slot.name());
      left /= extent;
    }
    if (left == 0) fuzzer_failed("a weight that is too large", slot.name());
  }
}

/// The config.json with only the keys that the family reads.
std::string known_keys(const ModelSpec& spec, std::string_view text) {
  Json json = Json::parse(spec.config);
  const Json all = parse_json(text, "input", kConfigLimits);
  if (all.contains("model_type")) json["model_type"] = all["model_type"];
  return json.dump();
}

void parse(std::string_view text) {
  std::vector<std::string> warnings;
  ModelSpec spec;
  try {
    spec = describe_model(text, "input", warnings);
  } catch (const Error& error) {
    check_kind(error);
    check_message(error, "input: ");
    return;
  }
  for (const std::string& warning : warnings)
    check_message(Error(ErrorKind::format, warning), "input: ");
  check_sizes(spec);
  ModelSpec again = describe_model(known_keys(spec, text), "again", warnings);
  again.ends = spec.ends;
  again.quantization = spec.quantization;
  again.quantization_block = spec.quantization_block;
  if (!(again == spec)) fuzzer_failed("not the same", spec.config);
  try {
    const QuantizationConfig quantization(spec.quantization_block, "input");
  } catch (const Error& error) {
    check_kind(error);
    check_message(error, "input: ");
  }
}

}  // namespace
}  // namespace bitaxon

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bitaxon::parse({reinterpret_cast<const char*>(data), size});
  return 0;
}
