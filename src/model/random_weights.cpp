#include "model/random_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "core/half.h"
#include "core/mix64.h"
#include "formats/nf4_codebook.h"
#include "model/quantize_weights.h"

namespace bitaxon {
namespace {

struct ValueRange {
  double low, high;
};

/// The range of a weight's random numbers. It makes the variance of products 1, and the decays and
/// time steps like those of trained models. So activations neither vanish nor explode.
ValueRange range_of(const WeightSlot& slot) {
  constexpr ValueRange kFactors = {0.9, 1.1};
  if (part_of(slot.key.id) == "norms") return kFactors;
  switch (slot.key.id) {
    case WeightId::skip:
      return kFactors;
    case WeightId::a_log:
      return {std::log(0.5), std::log(16.0)};
    case WeightId::dt_bias:
      return {-5.0, -1.0};
    case WeightId::conv_bias:
    case WeightId::scan_in_bias:
    case WeightId::scan_out_bias:
    case WeightId::query_bias:
    case WeightId::key_bias:
    case WeightId::value_bias:
    case WeightId::attention_out_bias:
      return {-0.1, 0.1};
    default:
      break;
  }
  const Shape shape = matrix_shape(slot);
  const double bound = std::sqrt(3.0 / static_cast<double>(shape[2]));
  return {-bound, bound};
}

/// Calls store(i, number) with uniform numbers in the range. Each mixed counter gives four numbers
/// of 16 bits. `first` is a multiple of 4.
template <class Store>
void fill_uniform(std::uint64_t stream, ValueRange range, std::int64_t first, std::int64_t n,
                  const Store& store) {
  const auto step = static_cast<float>((range.high - range.low) * 0x1p-16);
  const auto start = static_cast<float>(range.low) + step / 2;
  for (std::int64_t i = 0; i < n; i += 4) {
    std::uint64_t bits = mix64(stream + static_cast<std::uint64_t>(first + i));
    for (std::int64_t j = i; j < std::min(i + 4, n); ++j, bits >>= 16)
      store(j, start + step * static_cast<float>(bits & 0xFFFF));
  }
}

template <class Element>
void store_at(std::span<std::byte> bytes, std::int64_t index, Element value) {
  std::memcpy(bytes.data() + static_cast<std::size_t>(index) * sizeof(Element), &value,
              sizeof(Element));
}

void fill_floats(DType dtype, std::uint64_t stream, ValueRange range, std::span<std::byte> bytes) {
  const auto n = static_cast<std::int64_t>(bytes.size() / size_of(dtype));
  fill_uniform(stream, range, 0, n, [&](std::int64_t i, float value) {
    if (dtype == DType::f32)
      store_at(bytes, i, value);
    else
      store_at(bytes, i, dtype == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value));
  });
}

void fill_codes(std::uint64_t stream, std::span<std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(std::uint64_t)) {
    const std::uint64_t bits = mix64(stream + i);
    std::memcpy(bytes.data() + i, &bits, std::min(sizeof(bits), bytes.size() - i));
  }
}

/// Fills the parts with random codes and scales. `rms` is the root mean square of the weight's
/// elements.
void fill_coded(const WeightDesc& desc, std::uint64_t stream, double rms,
                const WritableParts& parts) {
  fill_codes(mix64(stream), parts.data);
  if (desc.format == WeightFormat::affine) {
    // Codes from 0 to 15 have a mean of 7.5 and a variance of (16^2 - 1) / 12.
    const double n_codes = 1 << desc.bits;
    const double mean = (n_codes - 1) / 2;
    const double scale = rms / std::sqrt((n_codes * n_codes - 1) / 12);
    // Scales and biases use the same stream, so that a group's bias is -7.5 times its scale.
    fill_floats(desc.dtype, stream, {0.8 * scale, 1.2 * scale}, parts.scales);
    fill_floats(desc.bias_dtype, stream, {-mean * 0.8 * scale, -mean * 1.2 * scale}, parts.biases);
    return;
  }
  const double squares =
      std::inner_product(kNf4Codebook.begin(), kNf4Codebook.end(), kNf4Codebook.begin(), 0.0);
  const double absmax = rms / std::sqrt(squares / 16);
  fill_floats(DType::f32, stream, {0.8 * absmax, 1.2 * absmax}, parts.scales);
  std::memcpy(parts.quant_map.data(), kNf4Codebook.data(), parts.quant_map.size());
}

WeightDesc desc_of(const ModelSpec& spec, const WeightSlot& slot, const RandomForm& form) {
  WeightDesc desc = with_matrix_shape({}, slot);
  desc.name = slot.name();
  desc.dtype = slot.may_be_quantized() ? DType::f16 : form.vectors;
  const auto codes =
      form.codes ? quantization_of(spec, slot, desc, *form.codes) : std::optional<Quantization>();
  return codes ? quantized_desc(desc, *codes) : desc;
}

}  // namespace

std::vector<FoundWeight> random_found(const ModelSpec& spec, const RandomForm& form) {
  std::vector<FoundWeight> found;
  for (WeightSlot& slot : weight_slots(spec)) {
    // A quantized tied head of Bit-Axon is a weight of its own.
    if (is_tied_head(spec, slot) && (!form.codes || spec.quantizes_embedding)) continue;
    WeightSource source;
    source.desc = desc_of(spec, slot, form);
    found.push_back({std::move(slot), std::move(source)});
  }
  return found;
}

ReadWeight random_reader(const ModelSpec& spec, std::uint64_t seed) {
  // Each weight has a stream of its own, seeded with its index in the model.
  std::map<WeightKey, std::uint64_t> streams;
  for (const WeightSlot& slot : weight_slots(spec))
    streams.emplace(slot.key, mix64(seed + mix64(streams.size())));
  return [streams = std::move(streams)](const FoundWeight& found, LoadedWeight& into) {
    const WeightDesc& desc = found.source.desc;
    const std::uint64_t stream = streams.at(found.slot.key);
    const ValueRange range = range_of(found.slot);
    if (found.quantize)
      return quantize(
          desc, *found.quantize,
          [&](std::int64_t first, std::span<float> out) {
            fill_uniform(stream, range, first, std::ssize(out), [&](std::int64_t i, float value) {
              out[static_cast<std::size_t>(i)] = f16_to_f32(f32_to_f16(value));
            });
          },
          into);
    const WritableParts parts = lay_out(desc, into);
    if (desc.format == WeightFormat::dense)
      fill_floats(desc.dtype, stream, range, parts.data);
    else
      fill_coded(desc, stream, range.high / std::sqrt(3.0), parts);
    return desc;
  };
}

}  // namespace bitaxon
