//   y[r, o] = sum_c w[o, c] * n(x[r, :])[c] + residual[r, o]
#include "ops/linear.h"

#include <algorithm>

#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

namespace bitaxon::cpu {
namespace {

using namespace linear_operand;

struct Scratch {
  std::int64_t max_rows, cols;
  float* gathered;  ///< [R, cols]: the selected rows, after the norm
  MatrixRows rows;
  TileMemory memory;

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : max_rows(node.shape(x)[0]),
        cols(node.shape(x)[1]),
        gathered(layout.take<float>(max_rows * cols)),
        rows(layout, max_rows, cols),
        memory(layout, max_rows, cols, 1, n_threads) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const auto params = args.params<LinearParams>();
  const PackedWeight& w = args.weight(weight);
  const std::int64_t cols = w.desc.cols;
  const std::int64_t out_cols = w.desc.rows;
  const std::int64_t n_rows = args.valid_rows(y);
  const float* source = args.data(x);
  if (params.select == RowSelect::outputs) {
    for (std::int64_t r = 0; r < n_rows; ++r)
      std::copy_n(source + args.output_row(r) * cols, cols, scratch.gathered + r * cols);
    source = scratch.gathered;
  }
  if (args.has(norm)) {
    norm_rows(args, source, args.weight(norm), params.eps, n_rows, cols, scratch.gathered);
    source = scratch.gathered;
  }
  scratch.rows.prepare(args, source, n_rows, args.precision, {&w});
  const float* added = args.has(residual) ? args.data(residual) : nullptr;
  float* out = args.data(y);
  for_each_tile(
      args, {&w}, scratch.rows, n_rows, scratch.memory,
      [&](int, std::int64_t r, std::int64_t first, const float* values, std::int64_t count) {
        const std::int64_t at = r * out_cols + first;
        for (std::int64_t i = 0; i < count; ++i)
          out[at + i] = added != nullptr ? values[i] + added[at + i] : values[i];
      });
}

}  // namespace

const CpuKernel simd_linear = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
