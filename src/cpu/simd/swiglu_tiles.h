// The SwiGLU of tiles of a pair of matrices. The kernels of swiglu and moe_swiglu share it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/simd/matrix.h"
#include "cpu/simd/rows.h"

namespace bitaxon::cpu {

/// The number of tiles of gate that are multiplied before the same tiles of up. With few rows,
/// reading the weights takes most of the time. Then more tiles at once are faster, because they are
/// a longer contiguous stream.
constexpr std::int64_t swiglu_tiles_at_once(std::int64_t max_rows) { return max_rows <= 8 ? 8 : 1; }

/// Some tiles of a pair of matrices, and the rows to multiply them by.
struct SwigluWork {
  const PackedWeight& gate;
  const PackedWeight& up;
  std::int64_t matrix = 0;
  std::int64_t first_tile = 0;
  std::int64_t n_tiles = 1;               ///< at most swiglu_tiles_at_once()
  const std::int32_t* indices = nullptr;  ///< row i of the work is row indices[i], or row i
  std::int64_t n_rows = 0;
};

/// Computes silu(gate @ x) * (up @ x) for each row x of the work. Calls
/// store(i, first o, values, number of values) for each row i of the work and each run of at most
/// sixteen consecutive outputs o.
/// memory  for 2 * swiglu_tiles_at_once() tiles
template <class Store>
void multiply_swiglu(const KernelArgs& args, const SwigluWork& work, const MatrixRows& rows,
                     const TileMemory& memory, int thread, const Store& store) {
  const auto multiply = [&](const PackedWeight& weight, std::int64_t first_output) {
    for (std::int64_t i = 0; i < work.n_tiles; ++i)
      tile_product(args, weight, work.matrix, work.first_tile + i, rows, work.indices, work.n_rows,
                   memory.panel(thread), memory.output(thread, static_cast<int>(first_output + i)));
  };
  multiply(work.gate, 0);
  multiply(work.up, work.n_tiles);
  for (std::int64_t i = 0; i < work.n_tiles; ++i) {
    float* values = memory.output(thread, static_cast<int>(i));
    gated_product(values, memory.output(thread, static_cast<int>(work.n_tiles + i)),
                  work.n_rows * kTileRows, values);
    const std::int64_t first = (work.first_tile + i) * kTileRows;
    const std::int64_t count = std::min(kTileRows, work.gate.desc.rows - first);
    for (std::int64_t r = 0; r < work.n_rows; ++r) store(r, first, values + r * kTileRows, count);
  }
}

}  // namespace bitaxon::cpu
