// 4 bits: X.weight U8 [n / 2, 1] and its parts, described by a JSON text in X.weight.quant_state...
// 8 bits: X.weight I8 [rows, cols], X.SCB F32 [rows], X.weight_format U8 (optional)
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "core/align.h"
#include "formats/json.h"
#include "formats/weight_search.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr std::uint64_t kMaxStateBytes = 64 << 10;  // real quant_states have under 200 bytes

Json read_quant_state(const WeightSearch& search, const TensorInfo& state) {
  if (state.dtype != DType::u8 || state.size_bytes > kMaxStateBytes)
    search.fail_expected(state, fmt::format("U8 of at most {} bytes of JSON", kMaxStateBytes));
  std::string text(static_cast<std::size_t>(state.size_bytes), '\0');
  search.checkpoint.read(state, std::as_writable_bytes(std::span(text)));
  Json json = parse_json(text, fmt::format("{}: tensor \"{}\"", search.checkpoint.file_name(state),
                                           printable(state.name)));
  if (!json.is_object())
    search.fail(state, fmt::format("expected a JSON object, got {}", printable(json.dump(), 60)));
  return json;
}

[[noreturn]] void fail_key(const WeightSearch& search, const TensorInfo& state, const Json& json,
                           const char* key, std::string_view expected) {
  search.fail(state,
              fmt::format("key \"{}\": expected {}, got {}", key, expected,
                          json.contains(key) ? printable(json[key].dump(), 60) : "no such key"));
}

std::int64_t block_size(const WeightSearch& search, const TensorInfo& state, const Json& json,
                        const char* key) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  if (json.contains(key) && json[key].is_number_unsigned()) {
    const auto size = json[key].get<std::uint64_t>();
    if (size >= 1 && size <= static_cast<std::uint64_t>(kMax))
      return static_cast<std::int64_t>(size);
  }
  fail_key(search, state, json, key, fmt::format("an integer from 1 to {}", kMax));
}

void check_quant_state(const WeightSearch& search, const TensorInfo& state, const Json& json,
                       Codebook codebook) {
  if (!json.contains("quant_type") || json["quant_type"] != name_of(codebook))
    fail_key(search, state, json, "quant_type", fmt::format("\"{}\"", name_of(codebook)));
  const Json expected(
      std::vector<std::int64_t>(search.shape.dims().begin(), search.shape.dims().end()));
  if (!json.contains("shape") || json["shape"] != expected)
    fail_key(search, state, json, "shape", search.shape.to_string());
}

/// The type that the weight had before quantization, according to the file. F16 if the file names
/// no type or an unknown type. No computation uses this type.
DType original_dtype(const Json& json) {
  const Json name = json.value("dtype", Json());
  return name == "float32" ? DType::f32 : name == "bfloat16" ? DType::bf16 : DType::f16;
}

/// Fills the members of `source` that double quantization needs.
void find_nested(const WeightSearch& search, const Json& json, std::int64_t n_blocks,
                 WeightSource& source) {
  const TensorInfo& state = *source.quant_state;
  const std::string& name = search.data.name;
  source.desc.nested = true;
  source.desc.nested_group_size = block_size(search, state, json, "nested_blocksize");
  if (json.contains("nested_dtype") && json["nested_dtype"] != "float32")
    fail_key(search, state, json, "nested_dtype", "\"float32\"");
  constexpr const char* kOffset = "nested_offset";
  if (!json.contains(kOffset) || !json[kOffset].is_number() ||
      std::abs(json[kOffset].get<double>()) > double{std::numeric_limits<float>::max()})
    fail_key(search, state, json, kOffset, "a number within float32");
  source.desc.nested_offset = json[kOffset].get<float>();
  const std::int64_t n_nested = divide_up(n_blocks, source.desc.nested_group_size);
  const std::string what = fmt::format("doubly quantized {}", name_of(source.desc.codebook));
  source.nested_scales = &search.part(name + ".nested_absmax", what, DType::f32, n_nested);
  source.nested_quant_map = &search.part(name + ".nested_quant_map", what, DType::f32, 256);
}

std::string state_name(const std::string& name, Codebook codebook) {
  return fmt::format("{}.quant_state.bitsandbytes__{}", name, name_of(codebook));
}

}  // namespace

WeightSource find_bitsandbytes_4bit(const WeightSearch& search, WeightDesc desc) {
  const TensorInfo& data = search.data;
  const std::string& name = data.name;
  const std::int64_t n = search.shape.elements();
  const std::int64_t n_bytes = divide_up(n, 2);
  if (n == 0 || (data.shape != Shape{n_bytes, 1} && data.shape != Shape{n_bytes}))
    search.fail_expected(data, fmt::format("{} as floats, or U8 [{}, 1] with 2 codes a byte",
                                           search.shape.to_string(), n_bytes));
  const bool fp4 = search.checkpoint.find(state_name(name, Codebook::fp4)) != nullptr;
  desc.codebook = fp4 ? Codebook::fp4 : Codebook::nf4;
  const std::string what = fmt::format("{} codes", name_of(desc.codebook));
  const TensorInfo& state = search.part(state_name(name, desc.codebook), what);
  const Json json = read_quant_state(search, state);
  check_quant_state(search, state, json, desc.codebook);

  desc.format = WeightFormat::codebook;
  desc.dtype = original_dtype(json);
  desc.group_size = block_size(search, state, json, "blocksize");
  const std::int64_t n_blocks = divide_up(n, desc.group_size);
  WeightSource source{.desc = std::move(desc), .data = &data, .quant_state = &state};
  source.quant_map = &search.part(name + ".quant_map", what, DType::f32, 16);
  if (json.contains("nested_blocksize") ||
      search.checkpoint.find(name + ".nested_absmax") != nullptr)
    find_nested(search, json, n_blocks, source);
  source.scales =
      &search.part(name + ".absmax", what, source.desc.nested ? DType::u8 : DType::f32, n_blocks);
  return source;
}

WeightSource find_bitsandbytes_int8(const WeightSearch& search, WeightDesc desc) {
  const TensorInfo& data = search.data;
  if (data.shape != search.shape || search.shape.rank() != 2)
    search.fail_expected(data, search.shape.to_string());
  desc.format = WeightFormat::int8;
  desc.dtype = DType::f16;
  desc.group_size = desc.cols;
  const TensorInfo& scales =
      search.part(search.stem() + ".SCB", "8-bit codes", DType::f32, desc.rows);
  return {.desc = std::move(desc),
          .data = &data,
          .scales = &scales,
          // Says in which order old versions stored the codes. Files have always had whole rows.
          .ignored = search.checkpoint.find(search.stem() + ".weight_format")};
}

}  // namespace bitaxon
