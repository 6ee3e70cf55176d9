//   g_x[r, c] = sum_o g_y[r, o] * w[o, c] for c < cols, 0 for cols <= c < width
#include "ops/linear_backward.h"

#include <algorithm>

#include "cpu/kernel.h"
#include "cpu/plain/formulas/linear.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  double* sums;  ///< [R, cols]
  float* row;    ///< [cols]

  Scratch(ScratchLayout& layout, const NodeView& node, int) {
    using namespace linear_backward_operand;
    const std::int64_t cols = node.shape(weight)[2];
    sums = layout.take<double>(node.shape(g_y)[0] * cols);
    row = layout.take<float>(cols);
  }
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace linear_backward_operand;
  const PackedWeight& w = args.weight(weight);
  const std::int64_t cols = w.desc.cols;
  const std::int64_t width = args.shape(g_x)[1];
  const std::int64_t n_rows = args.valid_rows(g_y);
  std::fill_n(scratch.sums, n_rows * cols, 0.0);
  for (std::int64_t o = 0; o < w.desc.rows; ++o) {
    decode_row(w, 0, o, scratch.row);
    args.pool.parallel_for(n_rows, 2 * cols, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t r = begin; r < end; ++r)
        formulas::linear_backward(args.data(g_y)[r * w.desc.rows + o], scratch.row, cols,
                                  scratch.sums + r * cols);
    });
  }
  for (std::int64_t r = 0; r < n_rows; ++r) {
    float* out = args.data(g_x) + r * width;
    for (std::int64_t c = 0; c < cols; ++c) out[c] = static_cast<float>(scratch.sums[r * cols + c]);
    std::fill(out + cols, out + width, 0.0F);
  }
}

}  // namespace

const CpuKernel linear_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
