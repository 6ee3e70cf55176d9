#include "formats/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "bitaxon/error.h"
#include "formats/float_bytes.h"
#include "formats/nf4_codebook.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr int kMaxNf4Code = 15;
constexpr std::int64_t kNestedGroupSize = 256;
constexpr unsigned kZeroCode = 7;  // the NF4 code for the number 0

/// Folds the values in eight lanes, with fold(lanes[i % 8], values[i]), then folds the lanes. The
/// compiler can vectorize this order.
template <typename Fold>
float fold_lanes(std::span<const float> values, Fold&& fold) {
  std::array<float, 8> lanes;
  std::copy_n(values.begin(), lanes.size(), lanes.begin());
  for (std::size_t i = lanes.size(); i < values.size(); i += lanes.size())
    for (std::size_t lane = 0; lane < lanes.size(); ++lane)
      lanes[lane] = fold(lanes[lane], values[i + lane]);
  return std::accumulate(lanes.begin() + 1, lanes.end(), lanes[0], fold);
}

float min_of(std::span<const float> values) {
  return fold_lanes(values, [](float a, float b) { return b < a ? b : a; });
}

float max_of(std::span<const float> values) {
  return fold_lanes(values, [](float a, float b) { return b > a ? b : a; });
}

float absmax_of(std::span<const float> values) {
  return fold_lanes(values, [](float a, float b) { return std::fabs(b) > std::fabs(a) ? b : a; });
}

/// The float32 sum of the values in the order that NumPy's `mean` uses, because the recorded files
/// hold means of such sums. The two halves of the values are summed separately, until they have at
/// most 128 values. These are summed in eight lanes.
float pairwise_sum(std::span<const float> values) {
  constexpr std::size_t kRun = 128, kLanes = 8;
  if (values.size() > kRun) {
    const std::size_t half = values.size() / 2 / kLanes * kLanes;
    return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
  }
  std::array<float, kLanes> lane{};
  const std::size_t whole = values.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; ++i) lane[i % kLanes] += values[i];
  const float sum =
      ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
  return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(whole), values.end(), sum);
}

/// Packs two codes into each byte.
template <typename Code>
void pack_nibbles(std::size_t n, bool first_is_low, std::byte* to, Code&& code) {
  const int first_shift = first_is_low ? 0 : 4;
  for (std::size_t i = 0; i < n; i += 2)
    to[i / 2] = static_cast<std::byte>(code(i) << first_shift | code(i + 1) << (4 - first_shift));
}

/// Packs n codes of 2 to 8 bits into a stream of bits. n is a multiple of 8.
template <typename Code>
void pack_stream(std::size_t n, int bits, std::byte* to, Code&& code) {
  for (std::size_t i = 0; i < n; i += 8, to += bits) {
    std::uint64_t eight = 0;  // eight codes fill `bits` bytes
    for (std::size_t j = 0; j < 8; ++j)
      eight |= std::uint64_t{code(i + j)} << (j * static_cast<std::size_t>(bits));
    std::memcpy(to, &eight, static_cast<std::size_t>(bits));
  }
}

/// The upper bounds of the NF4 codes. A number belongs to the first code whose bound is at least
/// the number. A bound is the midpoint of two codes, exact in double, rounded down to float. No
/// float lies between the midpoint and the bound. So a float is greater than the bound exactly when
/// it is greater than the midpoint. A tie goes to the lower code.
std::array<float, kMaxNf4Code> nf4_bounds() {
  std::array<float, kMaxNf4Code> bounds{};
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    const double middle = (double{kNf4Codebook[i]} + double{kNf4Codebook[i + 1]}) / 2;
    const auto rounded = static_cast<float>(middle);
    bounds[i] = rounded > middle ? std::nextafter(rounded, -2.0F) : rounded;
  }
  return bounds;
}

/// The index of the entry of `map` that is nearest to `value`. On a tie, the lower index. `map` is
/// in ascending order.
std::uint8_t nearest(std::span<const float> map, double value) {
  const auto above = std::lower_bound(map.begin(), map.end(), value);
  if (above == map.begin()) return 0;
  const auto below = above - 1;
  const bool take_above = above != map.end() && double{*above} - value < value - double{*below};
  return static_cast<std::uint8_t>((take_above ? above : below) - map.begin());
}

/// Throws Error(format) for a tensor with numbers that the format cannot represent.
[[noreturn]] void fail_range(const WeightDesc& desc, std::string_view what) {
  throw Error(ErrorKind::format, fmt::format("tensor \"{}\": {}", printable(desc.name), what));
}

[[noreturn]] void fail(const WeightDesc& desc, std::string_view what) {
  throw Error(ErrorKind::invalid_argument,
              fmt::format("[quantize] \"{}\": {}", printable(desc.name), what));
}

}  // namespace

WeightFormat four_bit_format(std::string_view name) {
  if (name == "nf4") return WeightFormat::codebook;
  if (name == "mlx") return WeightFormat::affine;
  throw Error(ErrorKind::invalid_argument,
              fmt::format("quantize: expected nf4 or mlx, got \"{}\"", printable(name)));
}

void check_quantization(const Quantization& how) {
  if (how.group_size != 32 && how.group_size != 64 && how.group_size != 128)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("group size: expected 32, 64 or 128, got {}", how.group_size));
  if (how.bits < 2 || how.bits == 7 || how.bits > 8)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("bits: expected 2, 3, 4, 5, 6 or 8, got {}", how.bits));
}

bool can_quantize(const WeightDesc& desc, const Quantization& how) {
  return desc.cols >= how.group_size && desc.cols % how.group_size == 0;
}

WeightDesc quantized_desc(const WeightDesc& dense, const Quantization& how) {
  const bool known = how.group_size == 32 || how.group_size == 64 || how.group_size == 128;
  const bool has_format =
      how.format == WeightFormat::affine || how.format == WeightFormat::codebook;
  if (!known || !has_format)
    fail(dense, fmt::format("expected affine or nf4 in groups of 32, 64 or 128, got groups of {}",
                            how.group_size));
  if (how.bits < 2 || how.bits == 7 || how.bits > 8)
    fail(dense, fmt::format("expected 2, 3, 4, 5, 6 or 8 bits, got {}", how.bits));
  if (dense.format != WeightFormat::dense)
    fail(dense, fmt::format("expected floats, got {}", dense.format_name()));
  if (!can_quantize(dense, how))
    fail(dense, fmt::format("expected rows that divide into groups of {}, got {} columns",
                            how.group_size, dense.cols));
  WeightDesc desc = dense;
  desc.format = how.format;
  desc.group_size = how.group_size;
  desc.bias_dtype = dense.dtype;
  desc.bits = how.format == WeightFormat::affine ? how.bits : 4;
  desc.codebook = Codebook::nf4;
  if (how.nested && how.format == WeightFormat::codebook) {
    desc.nested = true;
    desc.nested_group_size = kNestedGroupSize;
  }
  return desc;
}

std::vector<float> nested_quant_map() {
  // Seven decades, each divided into twice as many steps as the decade below. bitsandbytes rounds
  // to float32 at certain points, which are part of the format. This code rounds at the same
  // points.
  std::vector<float> map = {0.0F, 1.0F};
  for (int decade = 0; decade < 7; ++decade) {
    const int n = 1 << decade;
    const auto factor = static_cast<float>(std::pow(10.0, decade - 6));
    const auto boundary = [&](int i) {
      return i < n ? static_cast<float>(0.1 + 0.9 / n * i) : 1.0F;
    };
    for (int i = 0; i < n; ++i) {
      const float mean = (boundary(i) + boundary(i + 1)) / 2.0F;
      map.push_back(factor * mean);
      map.push_back(-factor * mean);
    }
  }
  std::sort(map.begin(), map.end());
  return map;
}

Quantizer::Quantizer(const WeightDesc& dense, const Quantization& how, LoadedWeight& into)
    : desc_(quantized_desc(dense, how)), parts_(lay_out(desc_, into)) {
  if (desc_.nested) absmax_.reserve(parts_.scales.size());
}

void Quantizer::add(std::span<const float> values) {
  const auto group = static_cast<std::size_t>(desc_.group_size);
  const auto n = static_cast<std::int64_t>(values.size());
  if (values.size() % group != 0 || n > desc_.elements() - done_)
    fail(desc_, fmt::format("expected whole groups and at most {} elements more, got {}",
                            desc_.elements() - done_, n));
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail_range(desc_, fmt::format("expected finite numbers to quantize, got {} at element {}",
                                    values[i], done_ + static_cast<std::int64_t>(i)));
  for (; !values.empty(); values = values.subspan(group)) {
    if (desc_.format == WeightFormat::affine)
      add_affine(values.first(group));
    else
      add_nf4(values.first(group));
    done_ += desc_.group_size;
  }
}

void Quantizer::add_affine(std::span<const float> group) {
  constexpr float kMinScale = 1e-7F;
  const auto max_code = static_cast<float>((1 << desc_.bits) - 1);
  const float low = min_of(group);
  const float high = max_of(group);
  const bool low_is_edge = std::fabs(low) > std::fabs(high);
  const float edge = low_is_edge ? low : high;
  float scale = std::max((high - low) / max_code, kMinScale);
  if (!low_is_edge) scale = -scale;
  float bias = 0;
  // Changes the scale so that the edge is exact, because it is the most important weight of the
  // group.
  if (const float steps = std::rint(edge / scale); steps != 0) {
    scale = edge / steps;
    bias = edge;
  }
  if (!std::isfinite(rounded_to(desc_.dtype, scale)) ||
      !std::isfinite(rounded_to(desc_.bias_dtype, bias)))
    fail_range(desc_, fmt::format("expected numbers to quantize whose range is within {}, got {} "
                                  "to {} in the group of element {}",
                                  name_of(desc_.dtype), low, high, done_));
  const std::int64_t index = done_ / desc_.group_size;
  store_float(desc_.dtype, scale, parts_.scales.data(), index);
  store_float(desc_.bias_dtype, bias, parts_.biases.data(), index);
  std::byte* to = parts_.data.data() + done_ / 8 * desc_.bits;
  const auto code_of = [&](std::size_t i) {
    const float code = std::clamp((group[i] - bias) / scale, 0.0F, max_code);
    // Adjacent floats at 2^23 differ by 1. So the addition rounds the code to an integer, half to
    // even, and the low bits of the sum are this integer.
    return std::bit_cast<std::uint32_t>(code + 0x1p23F) & 255U;
  };
  if (desc_.bits == 4)
    pack_nibbles(group.size(), true, to, code_of);
  else
    pack_stream(group.size(), desc_.bits, to, code_of);
}

void Quantizer::add_nf4(std::span<const float> block) {
  static const std::array<float, kMaxNf4Code> kBounds = nf4_bounds();
  const float absmax = std::fabs(absmax_of(block));
  if (desc_.nested)
    absmax_.push_back(absmax);
  else
    store_float(DType::f32, absmax, parts_.scales.data(), done_ / desc_.group_size);
  std::byte* to = parts_.data.data() + done_ / 2;
  if (absmax == 0)
    return pack_nibbles(block.size(), false, to, [](std::size_t) { return kZeroCode; });
  pack_nibbles(block.size(), false, to, [&](std::size_t i) {
    const float value = block[i] / absmax;
    unsigned code = 0;
    for (const float bound : kBounds) code += static_cast<unsigned>(value > bound);
    return code;
  });
}

void Quantizer::nest_scales() {
  const std::vector<float> map = nested_quant_map();
  std::memcpy(parts_.nested_quant_map.data(), map.data(), parts_.nested_quant_map.size());
  desc_.nested_offset = pairwise_sum(absmax_) / static_cast<float>(absmax_.size());
  if (!std::isfinite(desc_.nested_offset))
    fail_range(desc_, "expected scales whose sum fits float32 for nested quantization, got more");
  for (float& value : absmax_) value -= desc_.nested_offset;
  const std::span<const float> all(absmax_);
  for (std::size_t first = 0; first < all.size(); first += kNestedGroupSize) {
    const auto block =
        all.subspan(first, std::min<std::size_t>(kNestedGroupSize, all.size() - first));
    float largest = 0;
    for (const float value : block) largest = std::max(largest, std::fabs(value));
    store_float(DType::f32, largest, parts_.nested_scales.data(),
                static_cast<std::int64_t>(first) / kNestedGroupSize);
    for (std::size_t i = 0; i < block.size(); ++i) {
      const float value = largest == 0 ? 0 : block[i] / largest;
      parts_.scales[first + i] = static_cast<std::byte>(nearest(map, value));
    }
  }
}

std::int64_t rows_of_piece(const WeightDesc& desc) {
  constexpr std::int64_t kPieceElements = 1 << 20;
  return std::clamp<std::int64_t>(kPieceElements / std::max<std::int64_t>(1, desc.cols), 1,
                                  std::max<std::int64_t>(1, desc.n_matrices * desc.rows));
}

WeightDesc quantize(const WeightDesc& dense, const Quantization& how, const ReadElements& read,
                    LoadedWeight& into) {
  Quantizer quantizer(dense, how, into);
  std::vector<float> piece(static_cast<std::size_t>(rows_of_piece(dense) * dense.cols));
  for (std::int64_t first = 0; first < dense.elements(); first += std::ssize(piece)) {
    piece.resize(std::min(piece.size(), static_cast<std::size_t>(dense.elements() - first)));
    read(first, piece);
    quantizer.add(piece);
  }
  return quantizer.finish();
}

const WeightDesc& Quantizer::finish() {
  if (done_ != desc_.elements())
    fail(desc_, fmt::format("expected {} elements, got {}", desc_.elements(), done_));
  if (desc_.format == WeightFormat::codebook)
    std::memcpy(parts_.quant_map.data(), kNf4Codebook.data(), parts_.quant_map.size());
  if (desc_.nested) nest_scales();
  return desc_;
}

}  // namespace bitaxon
