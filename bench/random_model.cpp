#include "random_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/error.h"
#include "core/half.h"
#include "formats/json.h"
#include "formats/nf4_codebook.h"
#include "formats/safetensors.h"
#include "model/weights.h"
#include "platform/file.h"
#include "platform/printable.h"

namespace bitaxon::bench {
namespace {

constexpr std::int64_t kGroup = 64;
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

/// Bytes [first, first + out.size()) of a tensor; `first` is a multiple of 8.
using Fill = std::function<void(std::uint64_t first, std::span<std::byte> out)>;

struct TensorPlan {
  SafetensorsWriter::Spec spec;
  Fill fill;
};

/// Words of 64 random bits, the one at byte `first` being number first / 8 of the stream.
Fill random_bits(std::uint64_t stream) {
  return [stream](std::uint64_t first, std::span<std::byte> out) {
    for (std::size_t i = 0; i < out.size(); i += 8) {
      const std::uint64_t bits = mix64(stream + (first + i) / 8);
      std::memcpy(out.data() + i, &bits, std::min<std::size_t>(8, out.size() - i));
    }
  };
}

/// Uniform numbers as Element, each from 16 bits of the stream.
template <class Element, class Encode>
Fill random_numbers(std::uint64_t stream, ValueRange range, const Encode& encode) {
  constexpr std::size_t kPerWord = 8 / sizeof(Element);
  const auto start = static_cast<float>(range.low);
  const auto step = static_cast<float>((range.high - range.low) / 65535);
  return [=](std::uint64_t first, std::span<std::byte> out) {
    const std::uint64_t first_element = first / sizeof(Element);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < out.size() / sizeof(Element); ++i, bits >>= 16) {
      if (i % kPerWord == 0) bits = mix64(stream + (first_element + i) / kPerWord);
      const Element value = encode(start + step * static_cast<float>(bits & 0xFFFF));
      std::memcpy(out.data() + i * sizeof(Element), &value, sizeof(Element));
    }
  };
}

Fill random_f16(std::uint64_t stream, ValueRange range) {
  return random_numbers<std::uint16_t>(stream, range, f32_to_f16);
}

Fill random_f32(std::uint64_t stream, ValueRange range) {
  return random_numbers<float>(stream, range, [](float value) { return value; });
}

Fill constant(std::string bytes) {
  return [bytes = std::move(bytes)](std::uint64_t first, std::span<std::byte> out) {
    std::memcpy(out.data(), bytes.data() + first, out.size());
  };
}

/// `shape` with its last extent divided.
Shape divided(const Shape& shape, std::int64_t by) {
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.back() /= by;
  return Shape(std::span<const std::int64_t>(dims));
}

std::int64_t last_extent(const Shape& shape) { return shape[shape.rank() - 1]; }

/// Plans the tensors of one slot.
class SlotPlanner {
 public:
  SlotPlanner(std::uint64_t seed, std::vector<TensorPlan>& tensors)
      : seed_(seed), tensors_(tensors) {}

  void dense(const WeightSlot& slot) {
    add(slot.name, DType::f16, slot.shape, random_f16(next_stream(), random_range(slot)));
  }

  /// mlx: w = scale * code + bias.
  void affine(const WeightSlot& slot) {
    // Codes from 0 to 15 have a mean of 7.5 and a variance of (16^2 - 1) / 12.
    const double scale = spread(slot) / std::sqrt(255.0 / 12);
    const std::string stem = slot.name.substr(0, slot.name.rfind('.'));
    const Shape groups = divided(slot.shape, kGroup);
    // The same stream: a group's bias is -7.5 times its scale.
    const std::uint64_t stream = next_stream();
    add(slot.name, DType::u32, divided(slot.shape, 8), random_bits(next_stream()));
    add(stem + ".scales", DType::f16, groups, random_f16(stream, {0.8 * scale, 1.2 * scale}));
    add(stem + (slot.chosen_of > 0 ? ".biases_quant" : ".biases"), DType::f16, groups,
        random_f16(stream, {-7.5 * 0.8 * scale, -7.5 * 1.2 * scale}));
  }

  /// bitsandbytes: w = quant_map[code] * absmax.
  void nf4(const WeightSlot& slot) {
    const double squares =
        std::inner_product(kNf4Codebook.begin(), kNf4Codebook.end(), kNf4Codebook.begin(), 0.0);
    const double absmax = spread(slot) / std::sqrt(squares / 16);
    const std::int64_t n = slot.shape.elements();
    const Json state = {
        {"quant_type", "nf4"},
        {"blocksize", kGroup},
        {"dtype", "float16"},
        {"shape", std::vector<std::int64_t>(slot.shape.dims().begin(), slot.shape.dims().end())}};
    const std::string text = state.dump();
    add(slot.name, DType::u8, {n / 2, 1}, random_bits(next_stream()));
    add(slot.name + ".absmax", DType::f32, {n / kGroup},
        random_f32(next_stream(), {0.8 * absmax, 1.2 * absmax}));
    add(slot.name + ".quant_map", DType::f32, {16},
        constant({reinterpret_cast<const char*>(kNf4Codebook.data()), sizeof(kNf4Codebook)}));
    add(slot.name + ".quant_state.bitsandbytes__nf4", DType::u8, {std::ssize(text)},
        constant(text));
  }

 private:
  /// Root mean square of a uniform range around zero.
  static double spread(const WeightSlot& slot) { return random_range(slot).high / std::sqrt(3.0); }
  std::uint64_t next_stream() { return mix64(seed_ + mix64(n_streams_++)); }
  void add(std::string name, DType dtype, const Shape& shape, Fill fill) {
    tensors_.push_back({{std::move(name), dtype, shape}, std::move(fill)});
  }

  std::uint64_t seed_;
  std::uint64_t n_streams_ = 0;
  std::vector<TensorPlan>& tensors_;
};

std::vector<TensorPlan> plan_tensors(const Config& config, ModelFormat format, std::uint64_t seed) {
  std::vector<TensorPlan> tensors;
  SlotPlanner planner(seed, tensors);
  Weights unused;
  for (const WeightSlot& slot : weight_slots(config, unused)) {
    if (format == ModelFormat::f16 && is_tied_head(config, slot)) continue;
    const bool quantized = format != ModelFormat::f16 && slot.quantizable &&
                           slot.name != "embed_tokens.weight" &&
                           last_extent(slot.shape) % kGroup == 0;
    if (!quantized) {
      planner.dense(slot);
    } else if (format == ModelFormat::q4) {
      planner.affine(slot);
    } else {
      planner.nf4(slot);
    }
  }
  return tensors;
}

std::uint64_t bytes_of(const SafetensorsWriter::Spec& spec) {
  return static_cast<std::uint64_t>(spec.shape.elements()) * size_of(spec.dtype);
}

std::uint64_t write_tensors(const std::vector<TensorPlan>& tensors,
                            const std::filesystem::path& file) {
  std::vector<SafetensorsWriter::Spec> specs;
  for (const TensorPlan& tensor : tensors) specs.push_back(tensor.spec);
  SafetensorsWriter writer(file, std::move(specs));
  std::vector<std::byte> chunk(kChunkBytes);
  std::uint64_t total = 0;
  for (const TensorPlan& tensor : tensors) {
    const std::uint64_t size = bytes_of(tensor.spec);
    for (std::uint64_t first = 0; first < size; first += kChunkBytes) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, size - first));
      const std::span<std::byte> piece(chunk.data(), n);
      tensor.fill(first, piece);
      writer.write(piece);
    }
    total += size;
  }
  writer.commit();
  return total;
}

}  // namespace

std::uint64_t write_random_model(const Config& config, ModelFormat format, std::uint64_t seed,
                                 const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(ErrorKind::io, printable_path(folder.string()) + ": " + error.message());
  const std::uint64_t bytes =
      write_tensors(plan_tensors(config, format, seed), folder / "model.safetensors");
  AtomicFile config_file(folder / "config.json");
  config_file.write(config.to_json());
  config_file.commit();
  return bytes;
}

}  // namespace bitaxon::bench
