// The forms in which the CPU backend stores weights.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "cpu/simd/tiles.h"
#include "cpu/thread_pool.h"
#include "formats/weight_format.h"

namespace bitaxon::cpu {

/// A weight in one of three forms: stored, tiles or columns. All forms decode to the same values.
struct PackedWeight {
  WeightDesc desc;
  /// The stored form, with every part aligned. For plain kernels, and for weights that fit no other
  /// form.
  WeightParts parts;
  /// The tiles of a matrix, for the vectorized kernels.
  std::optional<TileLayout> layout;
  const std::byte* tiles = nullptr;
  /// The columns of a vector or a narrow matrix (such as taps or decays), as float32 [cols][rows].
  /// For the vectorized kernels.
  const float* columns = nullptr;

  // The codebook of a weight in tiles.
  std::array<float, 16> quant_map{};
  std::array<std::int16_t, 16> integer_map{};  ///< quant_map[c] is about integer_map[c] * map_scale
  float map_scale = 1;
  /// One factor for all matrices, or one for each. product.h says what it multiplies.
  std::vector<float> factors = {1};
  float factor(std::int64_t matrix) const {
    return factors[factors.size() == 1 ? 0 : static_cast<std::size_t>(matrix)];
  }

  std::shared_ptr<std::byte> storage;

  /// Data that a kernel computes once from the weight and uses in all steps.
  struct Derived {
    std::once_flag once;
    std::shared_ptr<std::byte> memory;
  };
  mutable Derived derived;
};

/// The number of bytes that pack_weight() allocates for a weight. If `plain`, the weight gets the
/// stored form, which plain kernels need.
std::uint64_t packed_bytes(const WeightDesc& desc, bool plain);
/// Converts the bytes of a checkpoint to the form that the kernels read, with all threads of the
/// pool. Throws Error(device) if memory is short.
std::shared_ptr<const PackedWeight> pack_weight(const WeightDesc& desc, const WeightParts& parts,
                                                bool plain, ThreadPool& pool);

/// Decodes row `row` of matrix `matrix` into out [cols].
void decode_row(const PackedWeight& weight, std::int64_t matrix, std::int64_t row, float* out);
/// Decodes one element of matrix 0.
float decode_element(const PackedWeight& weight, std::int64_t row, std::int64_t col);
/// Decodes a small weight (a vector, convolution taps) into out [elements].
void decode_all(const PackedWeight& weight, float* out);

}  // namespace bitaxon::cpu
