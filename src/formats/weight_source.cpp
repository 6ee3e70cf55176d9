#include "formats/weight_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "bitaxon/error.h"
#include "core/align.h"
#include "core/assert.h"
#include "formats/foreign_format.h"
#include "formats/json.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kNf4State = ".quant_state.bitsandbytes__nf4";
constexpr std::uint64_t kMaxStateBytes = 64 << 10;  // real quant_states have under 200 bytes
constexpr std::size_t kPartAlignment = 64;

/// The search for one weight: the checkpoint, and the tensor that the messages name.
struct Search {
  const Checkpoint& checkpoint;
  const TensorInfo& data;
  const Shape& shape;

  [[noreturn]] void fail(const TensorInfo& at, std::string_view what) const {
    throw Error(ErrorKind::format,
                fmt::format("{}: tensor \"{}\": {}", printable_path(checkpoint.file_name(at)),
                            printable(at.name), what));
  }

  [[noreturn]] void fail_expected(const TensorInfo& at, std::string_view expected) const {
    fail(at, fmt::format("expected {}, got {}", expected, describe(at)));
  }

  const TensorInfo& part(const std::string& name, std::string_view what) const {
    const TensorInfo* found = checkpoint.find(name);
    if (found == nullptr) checkpoint.refuse_absent(name);
    if (found == nullptr)
      fail(data, fmt::format("{} ({}) needs a tensor \"{}\", which is missing", describe(data),
                             what, printable(name)));
    return *found;
  }

  const TensorInfo& part(const std::string& name, std::string_view what, DType dtype,
                         std::int64_t size) const {
    const TensorInfo& found = part(name, what);
    if (found.dtype != dtype || found.shape != Shape{size})
      fail_expected(found, fmt::format("{} [{}]", name_of(dtype), size));
    return found;
  }
};

/// The DType of a tensor. The tensor must hold floats (is_float).
DType float_type(const TensorInfo& tensor) { return tensor.dtype.dtype().value_or(DType::f32); }

WeightDesc describe_logical(std::string_view name, const Shape& shape) {
  if (shape.rank() < 1 || shape.rank() > 3)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[find_weight] shape of \"{}\": expected rank 1 to 3, got {}",
                            printable(name), shape.to_string()));
  WeightDesc desc;
  desc.name = name;
  desc.cols = shape[shape.rank() - 1];
  if (shape.rank() >= 2) desc.rows = shape[shape.rank() - 2];
  if (shape.rank() == 3) desc.n_matrices = shape[0];
  return desc;
}

// ---- affine4: X.weight U32 [.., rows, cols / 8], X.scales and X.biases [.., rows, cols / group]

const TensorInfo& find_biases(const Search& search, const std::string& stem) {
  // mlx names the biases `biases`. Upstream's stacks of experts name them `biases_quant`.
  const TensorInfo* plain = search.checkpoint.find(stem + ".biases");
  const TensorInfo* stacked = search.checkpoint.find(stem + ".biases_quant");
  if (plain != nullptr && stacked != nullptr)
    search.fail(search.data, fmt::format("expected one of \"{0}.biases\" and "
                                         "\"{0}.biases_quant\", got both",
                                         printable(stem)));
  if (stacked != nullptr) return *stacked;
  return search.part(stem + ".biases", "4-bit codes");
}

WeightSource find_affine4(const Search& search, WeightDesc desc) {
  const TensorInfo& data = search.data;
  const std::string stem = data.name.substr(0, data.name.size() - kWeight.size());
  const std::int64_t cols = desc.cols;
  if (cols % 8 != 0 || data.shape != with_last(search.shape, cols / 8))
    search.fail_expected(
        data, fmt::format("{} as floats, or U32 with 8 codes a word", search.shape.to_string()));
  const TensorInfo& scales = search.part(stem + ".scales", "4-bit codes");
  const TensorInfo& biases = find_biases(search, stem);

  const int last = search.shape.rank() - 1;
  const std::int64_t n_groups = scales.shape.rank() == last + 1 ? scales.shape[last] : 0;
  const bool divides = n_groups > 0 && cols % n_groups == 0;
  desc.group_size = divides ? cols / n_groups : 0;
  const bool known = desc.group_size == 32 || desc.group_size == 64 || desc.group_size == 128;
  if (!is_float(scales.dtype) || !known || scales.shape != with_last(search.shape, n_groups))
    search.fail_expected(scales, fmt::format("F32, F16 or BF16 {} with the last extent divided by "
                                             "a group of 32, 64 or 128",
                                             search.shape.to_string()));
  if (!is_float(biases.dtype) || biases.shape != scales.shape)
    search.fail_expected(biases, fmt::format("F32, F16 or BF16 {}, the shape of the scales",
                                             scales.shape.to_string()));
  desc.format = WeightFormat::affine4;
  desc.dtype = float_type(scales);
  desc.bias_dtype = float_type(biases);
  return {.desc = std::move(desc), .data = &data, .scales = &scales, .biases = &biases};
}

// ---- nf4: X.weight U8 [n / 2, 1] and its parts, described by a JSON blob

Json read_quant_state(const Search& search, const TensorInfo& state) {
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

[[noreturn]] void fail_key(const Search& search, const TensorInfo& state, const Json& json,
                           const char* key, std::string_view expected) {
  search.fail(state,
              fmt::format("key \"{}\": expected {}, got {}", key, expected,
                          json.contains(key) ? printable(json[key].dump(), 60) : "no such key"));
}

std::int64_t block_size(const Search& search, const TensorInfo& state, const Json& json,
                        const char* key) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  if (json.contains(key) && json[key].is_number_unsigned()) {
    const auto size = json[key].get<std::uint64_t>();
    if (size >= 1 && size <= static_cast<std::uint64_t>(kMax))
      return static_cast<std::int64_t>(size);
  }
  fail_key(search, state, json, key, fmt::format("an integer from 1 to {}", kMax));
}

void check_quant_state(const Search& search, const TensorInfo& state, const Json& json) {
  if (!json.contains("quant_type") || json["quant_type"] != "nf4")
    fail_key(search, state, json, "quant_type", "\"nf4\"");
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
void find_nested(const Search& search, const Json& json, std::int64_t n_blocks,
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
  source.nested_scales =
      &search.part(name + ".nested_absmax", "doubly quantized nf4", DType::f32, n_nested);
  source.nested_quant_map =
      &search.part(name + ".nested_quant_map", "doubly quantized nf4", DType::f32, 256);
}

WeightSource find_nf4(const Search& search, WeightDesc desc) {
  const TensorInfo& data = search.data;
  const std::string& name = data.name;
  const std::int64_t n = search.shape.elements();
  const std::int64_t n_bytes = divide_up(n, 2);
  if (n == 0 || (data.shape != Shape{n_bytes, 1} && data.shape != Shape{n_bytes}))
    search.fail_expected(data, fmt::format("{} as floats, or U8 [{}, 1] with 2 codes a byte",
                                           search.shape.to_string(), n_bytes));
  const TensorInfo& state = search.part(name + std::string(kNf4State), "nf4 codes");
  const Json json = read_quant_state(search, state);
  check_quant_state(search, state, json);

  desc.format = WeightFormat::nf4;
  desc.dtype = original_dtype(json);
  desc.group_size = block_size(search, state, json, "blocksize");
  const std::int64_t n_blocks = divide_up(n, desc.group_size);
  WeightSource source{.desc = std::move(desc), .data = &data, .quant_state = &state};
  source.quant_map = &search.part(name + ".quant_map", "nf4 codes", DType::f32, 16);
  if (json.contains("nested_blocksize") ||
      search.checkpoint.find(name + ".nested_absmax") != nullptr)
    find_nested(search, json, n_blocks, source);
  source.scales = &search.part(name + ".absmax", "nf4 codes",
                               source.desc.nested ? DType::u8 : DType::f32, n_blocks);
  return source;
}

WeightSource find_dense(const Search& search, WeightDesc desc) {
  if (search.data.shape != search.shape)
    search.fail_expected(search.data, search.shape.to_string());
  desc.dtype = float_type(search.data);
  return {.desc = std::move(desc), .data = &search.data};
}

}  // namespace

std::vector<const TensorInfo*> tensors_of(const WeightSource& source) {
  std::vector<const TensorInfo*> tensors = {
      source.data,          source.scales,           source.biases,     source.quant_map,
      source.nested_scales, source.nested_quant_map, source.quant_state};
  std::erase(tensors, nullptr);
  return tensors;
}

std::optional<WeightSource> find_weight(const Checkpoint& checkpoint, std::string_view name,
                                        const Shape& shape, bool allow_quantized) {
  WeightDesc desc = describe_logical(name, shape);
  const TensorInfo* data = checkpoint.find(name);
  if (const auto foreign = foreign_format(checkpoint, name, shape))
    throw Error(
        ErrorKind::unsupported,
        fmt::format("{}: tensor \"{}\": {} ({}) is not read; F32, F16, BF16, MLX 4-bit and "
                    "bitsandbytes NF4 are",
                    printable_path(checkpoint.file_name(*foreign->tensor)),
                    printable(foreign->tensor->name), foreign->name, describe(*foreign->tensor)));
  if (data == nullptr) {
    checkpoint.refuse_absent(name);
    return std::nullopt;
  }
  const Search search{checkpoint, *data, shape};
  if (is_float(data->dtype)) return find_dense(search, std::move(desc));
  const bool may_be_quantized = allow_quantized && shape.rank() >= 2 && name.ends_with(kWeight);
  if (may_be_quantized && data->dtype == DType::u32) return find_affine4(search, std::move(desc));
  if (may_be_quantized && data->dtype == DType::u8) return find_nf4(search, std::move(desc));
  search.fail_expected(*data, fmt::format("F32, F16 or BF16 {}{}", shape.to_string(),
                                          may_be_quantized ? ", or 4-bit codes (U32, U8)"
                                                           : " (4-bit codes are not read here)"));
}

WritableParts lay_out(const WeightDesc& desc, LoadedWeight& into) {
  const PartBytes bytes = part_bytes(desc);
  struct Part {
    std::uint64_t size;
    std::span<std::byte> WritableParts::*writable;
    std::span<const std::byte> WeightParts::*readable;
  };
  const std::array<Part, 6> parts = {
      {{bytes.data, &WritableParts::data, &WeightParts::data},
       {bytes.scales, &WritableParts::scales, &WeightParts::scales},
       {bytes.biases, &WritableParts::biases, &WeightParts::biases},
       {bytes.quant_map, &WritableParts::quant_map, &WeightParts::quant_map},
       {bytes.nested_scales, &WritableParts::nested_scales, &WeightParts::nested_scales},
       {bytes.nested_quant_map, &WritableParts::nested_quant_map, &WeightParts::nested_quant_map}}};
  // Extra bytes for alignment, because a vector of bytes may begin at any address.
  std::size_t size = kPartAlignment;
  for (const Part& part : parts) size += align_up(part.size, kPartAlignment);
  // The storage never shrinks, because growing it again would fill the difference with zeros. It is
  // never copied, because the old and the new bytes would be in memory at the same time.
  if (into.storage.size() < size) {
    into.storage = {};
    into.storage.resize(size);
  }
  void* begin = into.storage.data();
  std::size_t space = into.storage.size();
  auto* next =
      static_cast<std::byte*>(std::align(kPartAlignment, size - kPartAlignment, begin, space));
  WritableParts writable;
  for (const Part& part : parts) {
    writable.*part.writable = std::span(next, static_cast<std::size_t>(part.size));
    into.parts.*part.readable = writable.*part.writable;
    next += align_up(part.size, kPartAlignment);
  }
  return writable;
}

void read_weight(const Checkpoint& checkpoint, const WeightSource& source, LoadedWeight& into) {
  const WritableParts to = lay_out(source.desc, into);
  const auto read = [&](const TensorInfo* tensor, std::span<std::byte> part) {
    if (tensor == nullptr) return;
    checkpoint.read_ahead(*tensor);
    checkpoint.read(*tensor, part);
  };
  read(source.data, to.data);
  read(source.scales, to.scales);
  read(source.biases, to.biases);
  read(source.quant_map, to.quant_map);
  read(source.nested_scales, to.nested_scales);
  read(source.nested_quant_map, to.nested_quant_map);
}

std::function<void(std::int64_t first, std::span<float> out)> dense_reader(
    const Checkpoint& checkpoint, const WeightSource& source) {
  BX_ASSERT(source.desc.format == WeightFormat::dense, "dense_reader needs a dense weight");
  return [&checkpoint, &source, bytes = std::vector<std::byte>()](std::int64_t first,
                                                                  std::span<float> out) mutable {
    const std::size_t size = size_of(source.desc.dtype);
    bytes.resize(out.size() * size);
    checkpoint.read_part(*source.data, static_cast<std::uint64_t>(first) * size, bytes);
    WeightDesc piece = source.desc;
    piece.n_matrices = piece.rows = 1;
    piece.cols = std::ssize(out);
    decode(piece, {.data = bytes}, 0, out);
  };
}

}  // namespace bitaxon
