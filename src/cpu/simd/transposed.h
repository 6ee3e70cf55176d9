// Products with transposed weights:
//   g_x[r, c] = sum_o g_y[r, o] * w[o, c]
// A lane of a vector is a row r, and a work item is a block of columns c, so no sum over lanes is
// needed and the tiles of the weight are read as they are. Every sum is computed in the order of o,
// so the result of a row depends neither on the other rows nor on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/align.h"
#include "cpu/kernel.h"
#include "cpu/simd/tiles.h"

namespace bitaxon::cpu {

/// The rows of a strip. Strips of rows are multiplied together.
inline constexpr std::int64_t kStripRows = 32;
/// The most columns of a block.
inline constexpr std::int64_t kMostBlockCols = 72;
/// The tiles of a weight that are decoded at once. Their rows of g_y fit in a cache.
inline constexpr std::int64_t kTilesAtOnce = 8;

/// Rows g_y [n, n_out] in the order in which the kernels read them: [strip][o][row of the strip].
/// Missing rows and outputs are zeros.
class StripRows {
 public:
  StripRows(ScratchLayout& layout, std::int64_t max_rows, std::int64_t n_out)
      : n_out_(n_out),
        packed_(layout.take<float>(align_up(max_rows, kStripRows) * align_up(n_out, kTileRows))) {}

  /// Packs n rows, `stride` elements apart. Row i is rows[indices[i]], or rows[i] without indices.
  void pack(const KernelArgs& args, const float* rows, std::int64_t stride,
            const std::int32_t* indices, std::int64_t n);
  std::int64_t n_rows() const { return n_rows_; }
  std::int64_t n_strips() const { return divide_up(n_rows_, kStripRows); }
  const float* strip(std::int64_t index) const {
    return packed_ + index * kStripRows * align_up(n_out_, kTileRows);
  }

 private:
  std::int64_t n_out_;
  std::int64_t n_rows_ = 0;
  float* packed_;
};

/// The scratch memory of each thread.
class BlockMemory {
 public:
  BlockMemory(ScratchLayout& layout, std::int64_t max_rows, int n_threads)
      : block_size_(align_up(max_rows, kStripRows) * kMostBlockCols),
        blocks_(layout.take<float>(n_threads * block_size_)),
        panels_(layout.take<float>(n_threads * kPanelSize)) {}
  float* block(int thread) const { return blocks_ + thread * block_size_; }
  float* panel(int thread) const { return panels_ + thread * kPanelSize; }

 private:
  static constexpr std::int64_t kPanelSize =
      (kTilesAtOnce * kTileRows + kTileRows) * kMostBlockCols;
  std::int64_t block_size_;
  float* blocks_;
  float* panels_;
};

/// The columns of each block of a weight, except for the last block, which may have fewer.
std::int64_t block_cols(const PackedWeight& weight);

/// Decodes columns of one tile, of the block that begins at first_col.
/// panel  [n_cols, rounded up to a multiple of 8][16]: receives the columns, then zeros
/// row    [n_cols]: scratch
void decode_columns(const KernelArgs& args, const PackedWeight& weight, std::int64_t matrix,
                    std::int64_t tile, std::int64_t first_col, std::int64_t n_cols, float* panel,
                    float* row);

/// A range of the result: columns [first_col, first_col + n_cols) of some strips.
struct TransposedBlock {
  std::int64_t first_col, n_cols;
  std::int64_t first_strip, n_strips;
};

/// Computes a block of the product with one matrix of a weight.
/// out  [n_strips][n_cols, a multiple of 8][32]
void transposed_product(const KernelArgs& args, const PackedWeight& weight, std::int64_t matrix,
                        const StripRows& rows, const TransposedBlock& block, float* panel,
                        float* out);

/// Multiplies all rows by a transposed matrix. Calls store(r, first column, values, distance of the
/// values, number of values) for each row of each block.
template <class Store>
void for_each_transposed(const KernelArgs& args, const PackedWeight& weight, std::int64_t matrix,
                         const StripRows& rows, const BlockMemory& memory, const Store& store) {
  if (rows.n_rows() == 0) return;
  const std::int64_t cols = weight.desc.cols;
  const std::int64_t width = block_cols(weight);
  const std::int64_t n_blocks = divide_up(cols, width);
  // With few blocks, several threads share a block. Each then decodes the weight for some rows.
  constexpr std::int64_t kLeastStrips = 4;
  const std::int64_t n_parts =
      std::clamp<std::int64_t>(divide_up<std::int64_t>(3 * args.pool.n_threads(), n_blocks), 1,
                               divide_up(rows.n_strips(), kLeastStrips));
  args.pool.parallel_for(
      n_blocks * n_parts, 2 * width * weight.desc.rows * rows.n_rows() / n_parts,
      [&](std::int64_t begin, std::int64_t end, int thread) {
        for (std::int64_t item = begin; item < end; ++item) {
          const std::int64_t first_col = item / n_parts * width;
          const std::int64_t part = item % n_parts;
          const std::int64_t first_strip = rows.n_strips() * part / n_parts;
          const TransposedBlock block{first_col, std::min(width, cols - first_col), first_strip,
                                      rows.n_strips() * (part + 1) / n_parts - first_strip};
          float* out = memory.block(thread);
          transposed_product(args, weight, matrix, rows, block, memory.panel(thread), out);
          const std::int64_t padded = align_up<std::int64_t>(block.n_cols, 8);
          const std::int64_t first_row = first_strip * kStripRows;
          const std::int64_t n = std::min(block.n_strips * kStripRows, rows.n_rows() - first_row);
          for (std::int64_t r = 0; r < n; ++r)
            store(first_row + r, first_col,
                  out + r / kStripRows * padded * kStripRows + r % kStripRows, kStripRows,
                  block.n_cols);
        }
      });
}

}  // namespace bitaxon::cpu
