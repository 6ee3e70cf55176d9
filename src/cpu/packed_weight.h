// The forms in which the CPU backend keeps weights.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "cpu/fast/tiles.h"
#include "cpu/thread_pool.h"
#include "formats/weight_format.h"

namespace bitaxon::cpu {

/// A weight as kernels find it, in one of three forms; each decodes to the same values.
struct PackedWeight {
  WeightDesc desc;
  /// As stored, every part aligned: what the plain kernels read, and what fits no other form.
  WeightParts parts;
  /// Tiles of matrices, for the fast kernels.
  std::optional<TileLayout> layout;
  const std::byte* tiles = nullptr;
  /// Vectors and narrow matrices (taps, decays): float32 [cols][rows], for the fast kernels.
  const float* columns = nullptr;

  // NF4 in tiles.
  std::array<float, 16> quant_map{};
  std::array<std::int16_t, 16> integer_map{};  ///< quant_map[c] is about integer_map[c] * map_scale
  float map_scale = 1;

  std::shared_ptr<std::byte> storage;

  /// What a kernel makes of the weight once, for all steps.
  struct Derived {
    std::once_flag once;
    std::shared_ptr<std::byte> memory;
  };
  mutable Derived derived;
};

/// Which form a weight takes: plain kernels want it as stored.
std::uint64_t packed_bytes(const WeightDesc& desc, bool plain);
/// Copies the stored bytes into that form, by all threads of the pool. Throws Error(device) when
/// memory is short.
std::shared_ptr<const PackedWeight> pack_weight(const WeightDesc& desc, const WeightParts& parts,
                                                bool plain, ThreadPool& pool);

/// Decodes row `row` of matrix `matrix` into out [cols].
void decode_row(const PackedWeight& weight, std::int64_t matrix, std::int64_t row, float* out);
/// One element of matrix 0.
float decode_element(const PackedWeight& weight, std::int64_t row, std::int64_t col);
/// Decodes all of a small weight (vectors, convolution taps) into out [elements].
void decode_all(const PackedWeight& weight, float* out);

}  // namespace bitaxon::cpu
