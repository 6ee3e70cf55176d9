//   n[k] = || W[k, :] + scale * (A B)^T[k, :] ||
#include "ops/dora_norms.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "cpu/simd/gradient_rows.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/transposed.h"

namespace bitaxon::cpu {
namespace {

using namespace dora_norms_operand;

struct Scratch {
  std::int64_t rank;
  float* panels;  ///< [n_threads, columns of a block + 1, 16]: decoded columns, and a row
  float* b;       ///< [n_threads, rank, 16]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : rank(node.params<AdapterPlace>().rank),
        panels(layout.take<float>(n_threads * (kMostBlockCols + 8) * kTileRows)),
        b(layout.take<float>(n_threads * rank * kTileRows)) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const auto place = args.params<AdapterPlace>();
  const PackedWeight& w = args.weight(weight);
  const std::int64_t n_in = w.desc.cols;
  const std::int64_t n_out = w.desc.rows;
  const std::int64_t width = block_cols(w);
  const float* a = args.data(parameters) + place.a;
  const float* all_b = args.data(parameters) + place.b;
  float* out = args.data(norms) + place.norm;
  args.pool.parallel_for(
      divide_up(n_out, kTileRows), 2 * kTileRows * n_in * (scratch.rank + 2),
      [&](std::int64_t begin, std::int64_t end, int thread) {
        float* panel = scratch.panels + thread * (kMostBlockCols + 8) * kTileRows;
        float* row = panel + kMostBlockCols * kTileRows;
        float* b = scratch.b + thread * scratch.rank * kTileRows;
        for (std::int64_t tile = begin; tile < end; ++tile) {
          const std::int64_t first = tile * kTileRows;
          const std::int64_t count = std::min(kTileRows, n_out - first);
          std::fill_n(b, scratch.rank * kTileRows, 0.0F);
          for (std::int64_t k = 0; k < scratch.rank; ++k)
            std::copy_n(all_b + k * n_out + first, count, b + k * kTileRows);
          std::array<double, kTileRows> sums{};
          for (std::int64_t c = 0; c < n_in; c += width) {
            const std::int64_t n_cols = std::min(width, n_in - c);
            decode_columns(args, w, 0, tile, c, n_cols, panel, row);
            add_adapted_squares(panel, a + c * scratch.rank, b, n_cols, scratch.rank, place.scale,
                                sums.data());
          }
          for (std::int64_t r = 0; r < count; ++r)
            out[first + r] = static_cast<float>(std::sqrt(sums[static_cast<std::size_t>(r)]));
        }
      });
}

}  // namespace

const CpuKernel simd_dora_norms = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
