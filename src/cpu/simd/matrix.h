// Multiplies packed matrices by the rows of a step, for all ops that use product kernels. A work
// item is a tile of sixteen outputs for all rows, so that each weight is read only once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "cpu/kernel.h"

namespace bitaxon::cpu {

/// Rows of activations [n_rows, cols], prepared for multiplication by matrices.
class MatrixRows {
 public:
  /// Takes enough memory for both precisions from `layout`.
  MatrixRows(ScratchLayout& layout, std::int64_t max_rows, std::int64_t cols);

  /// Refers to rows [n, cols] without copying them. Also codes the rows as 16-bit integers if the
  /// precision is "fast" and at least one weight is 4-bit.
  void prepare(const KernelArgs& args, const float* rows, std::int64_t n, Precision precision,
               std::initializer_list<const PackedWeight*> weights);

  std::int64_t cols() const { return cols_; }
  const float* row(std::int64_t r) const { return rows_ + r * cols_; }
  bool coded() const { return coded_; }
  std::int64_t block() const { return block_; }
  CodedRow coded_row(std::int64_t r) const {
    return {q_ + r * cols_, scales_ + r * n_blocks(), sums_ + r * n_blocks()};
  }

 private:
  std::int64_t n_blocks() const { return cols_ / block_; }

  std::int64_t cols_;
  const float* rows_ = nullptr;
  std::int16_t* q_;
  float* scales_;
  float* sums_;
  std::int64_t block_ = 64;
  bool coded_ = false;
};

/// The scratch memory that each thread needs for one tile.
class TileMemory {
 public:
  /// `n_outputs` is the number of tiles whose results a work item keeps at the same time.
  TileMemory(ScratchLayout& layout, std::int64_t max_rows, std::int64_t cols, int n_outputs,
             int n_threads);

  float* output(int thread, int index) const {
    return outputs_ + (thread * n_outputs_ + index) * max_rows_ * kTileRows;
  }
  float* panel(int thread) const { return panels_ + thread * cols_ * (kTileRows + 1); }

 private:
  std::int64_t max_rows_;
  std::int64_t cols_;
  int n_outputs_;
  float* outputs_;  ///< [n_threads, n_outputs, R, 16]
  float* panels_;   ///< [n_threads, cols * 17]: a decoded tile and a row
};

/// Returns a weight as float32 [cols][rows]. The result points to the weight's own memory if the
/// weight is stored by columns. Otherwise it points to `scratch` [elements], which receives the
/// decoded weight.
const float* columns_of(const PackedWeight& weight, float* scratch);

/// An optional vector of n elements, as columns_of() returns it. An absent vector gives zeros in
/// `scratch` [n].
const float* columns_or_zeros(const KernelArgs& args, int operand, std::int64_t n, float* scratch);

/// out[r] = the RMS norm of x[r]. `out` may be `x`.
void norm_rows(const KernelArgs& args, const float* x, const PackedWeight& norm, float eps,
               std::int64_t n_rows, std::int64_t cols, float* out);

/// The type of the elements of a dense weight.
ScaleType scale_type(DType dtype);
/// Whether a weight has tiles of codes.
bool is_coded(const PackedWeight& weight);
/// The memory of a tile of a weight in tiles.
const unsigned char* tile_data(const PackedWeight& weight, std::int64_t matrix, std::int64_t tile);
/// A tile of a weight that is_coded(). `block` is the block size of the coded rows.
CodedTile coded_tile(const PackedWeight& weight, std::int64_t matrix, std::int64_t tile,
                     std::int64_t block);

inline std::int64_t tiles_of(const PackedWeight& weight) {
  return divide_up(weight.desc.rows, kTileRows);
}

/// out[i] = the sixteen products of one tile with row indices[i] (row i if `indices` is null), for
/// i < n.
/// out    [n][16]
/// panel  [cols * 17]: scratch
void tile_product(const KernelArgs& args, const PackedWeight& weight, std::int64_t matrix,
                  std::int64_t tile, const MatrixRows& rows, const std::int32_t* indices,
                  std::int64_t n, float* panel, float* out);

/// Multiplies all rows by the given matrices. Calls store(i, r, first o, values, number of values)
/// for each matrix i, each row r and each run of at most sixteen consecutive outputs o.
template <class Store>
void for_each_tile(const KernelArgs& args, std::initializer_list<const PackedWeight*> weights,
                   const MatrixRows& rows, std::int64_t n_rows, const TileMemory& memory,
                   const Store& store) {
  std::int64_t n_tiles = 0;
  for (const PackedWeight* weight : weights) n_tiles += tiles_of(*weight);
  args.pool.parallel_for(
      n_tiles, 2 * kTileRows * rows.cols() * n_rows,
      [&](std::int64_t begin, std::int64_t end, int thread) {
        for (std::int64_t item = begin; item < end; ++item) {
          std::int64_t tile = item;
          int index = 0;
          for (; tile >= tiles_of(*weights.begin()[index]); ++index)
            tile -= tiles_of(*weights.begin()[index]);
          const PackedWeight& weight = *weights.begin()[index];
          float* out = memory.output(thread, 0);
          tile_product(args, weight, 0, tile, rows, nullptr, n_rows, memory.panel(thread), out);
          const std::int64_t first = tile * kTileRows;
          const std::int64_t count = std::min(kTileRows, weight.desc.rows - first);
          for (std::int64_t r = 0; r < n_rows; ++r)
            store(index, r, first, out + r * kTileRows, count);
        }
      });
}

}  // namespace bitaxon::cpu
