// X.weight U32 [.., rows, cols * bits / 32] and its parts:
//   affine        X.scales, X.biases F32, F16 or BF16 [.., rows, cols / group]
//   mxfp4, mxfp8  X.scales U8 [.., rows, cols / 32]
//   nvfp4         X.scales U8 [.., rows, cols / 16], X.global_scale F32 [n_matrices] (optional)
// Source: nn/layers/quantized.py and ops.cpp of MLX.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "formats/weight_search.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr std::array<std::int64_t, 6> kBits = {2, 3, 4, 5, 6, 8};
constexpr std::array<std::int64_t, 3> kGroups = {32, 64, 128};
constexpr std::int64_t kMaxCols = std::int64_t{1} << 40;  // so that no product overflows

template <std::size_t n>
bool is_one_of(const std::array<std::int64_t, n>& values, std::int64_t value) {
  return std::ranges::find(values, value) != values.end();
}

/// The DType of a tensor. The tensor must hold floats (is_float).
DType float_type(const TensorInfo& tensor) { return tensor.dtype.dtype().value_or(DType::f32); }

/// The bits of a code. Throws if the shape of the codes is not that of the weight.
int bits_of(const WeightSearch& search, std::int64_t cols) {
  const int last = search.shape.rank() - 1;
  const StoredShape& stored = search.data.shape;
  if (stored.rank() == last + 1 && cols % 32 == 0 && cols > 0 && cols < kMaxCols &&
      stored[last] <= cols) {
    const std::int64_t n_words = stored[last];
    const std::int64_t bits = 32 * n_words / cols;
    if (stored == with_last(search.shape, n_words) && 32 * n_words % cols == 0 &&
        is_one_of(kBits, bits))
      return static_cast<int>(bits);
  }
  search.fail_expected(search.data,
                       fmt::format("{} as floats, or U32 with codes of 2, 3, 4, 5, 6 or 8 bits",
                                   search.shape.to_string()));
}

std::string kind_of_codes(int bits) { return fmt::format("{}-bit codes", bits); }

const TensorInfo& find_biases(const WeightSearch& search, int bits) {
  // mlx names the biases `biases`. Upstream's stacks of experts name them `biases_quant`.
  const std::string stem = search.stem();
  const TensorInfo* plain = search.checkpoint.find(stem + ".biases");
  const TensorInfo* stacked = search.checkpoint.find(stem + ".biases_quant");
  if (plain != nullptr && stacked != nullptr)
    search.fail(search.data, fmt::format("expected one of \"{0}.biases\" and "
                                         "\"{0}.biases_quant\", got both",
                                         printable(stem)));
  if (stacked != nullptr) return *stacked;
  return search.part(stem + ".biases", kind_of_codes(bits));
}

/// The number of codes for each scale. 0 if the scales do not fit the shape of the weight.
std::int64_t group_of(const WeightSearch& search, const TensorInfo& scales, std::int64_t cols) {
  const int last = search.shape.rank() - 1;
  if (scales.shape.rank() != last + 1) return 0;
  const std::int64_t n_groups = scales.shape[last];
  const bool fits =
      n_groups > 0 && cols % n_groups == 0 && scales.shape == with_last(search.shape, n_groups);
  return fits ? cols / n_groups : 0;
}

WeightSource find_affine(const WeightSearch& search, WeightDesc desc, const TensorInfo& scales) {
  const TensorInfo& biases = find_biases(search, desc.bits);
  desc.group_size = group_of(search, scales, desc.cols);
  if (!is_float(scales.dtype) || !is_one_of(kGroups, desc.group_size))
    search.fail_expected(scales, fmt::format("F32, F16 or BF16 {} with the last extent divided by "
                                             "a group of 32, 64 or 128",
                                             search.shape.to_string()));
  if (!is_float(biases.dtype) || biases.shape != scales.shape)
    search.fail_expected(biases, fmt::format("F32, F16 or BF16 {}, the shape of the scales",
                                             scales.shape.to_string()));
  desc.format = WeightFormat::affine;
  desc.dtype = float_type(scales);
  desc.bias_dtype = float_type(biases);
  return {.desc = std::move(desc), .data = &search.data, .scales = &scales, .biases = &biases};
}

/// Adds the scales of whole matrices, which some nvfp4 weights have.
void find_global_scale(const WeightSearch& search, WeightSource& source) {
  const TensorInfo* global = search.checkpoint.find(search.stem() + ".global_scale");
  if (global == nullptr) return;
  WeightDesc& desc = source.desc;
  const bool fits = global->dtype == DType::f32 && global->shape.elements() == desc.n_matrices &&
                    global->shape.rank() <= 1;
  if (!fits) search.fail_expected(*global, fmt::format("F32 [{}]", desc.n_matrices));
  desc.nested = true;
  desc.nested_group_size = desc.rows * desc.cols / desc.group_size;
  source.nested_scales = global;
}

/// mxfp4, mxfp8 or nvfp4.
WeightSource find_8bit_scales(const WeightSearch& search, WeightDesc desc,
                              const TensorInfo& scales) {
  desc.group_size = group_of(search, scales, desc.cols);
  const bool nvfp4 = desc.bits == 4 && desc.group_size == 16;
  const bool mx = (desc.bits == 4 || desc.bits == 8) && desc.group_size == 32;
  if (!nvfp4 && !mx)
    search.fail_expected(
        scales, fmt::format("scales that fit {} of {}: F32, F16 or BF16 for groups of 32, 64 or "
                            "128, U8 for groups of 32 (mxfp4, mxfp8) or 16 (nvfp4)",
                            kind_of_codes(desc.bits), search.shape.to_string()));
  desc.format = desc.bits == 8 ? WeightFormat::mxfp8 : WeightFormat::codebook;
  desc.codebook = nvfp4 ? Codebook::nvfp4 : Codebook::mxfp4;
  desc.dtype = DType::bf16;
  WeightSource source{.desc = std::move(desc), .data = &search.data, .scales = &scales};
  if (nvfp4) find_global_scale(search, source);
  return source;
}

}  // namespace

WeightSource find_mlx(const WeightSearch& search, WeightDesc desc) {
  desc.bits = bits_of(search, desc.cols);
  const TensorInfo& scales = search.part(search.stem() + ".scales", kind_of_codes(desc.bits));
  return scales.dtype == DType::u8 ? find_8bit_scales(search, std::move(desc), scales)
                                   : find_affine(search, std::move(desc), scales);
}

}  // namespace bitaxon
