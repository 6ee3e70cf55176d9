//   g_x = rho * norm * g_y - x * rho^3 * mean(norm * g_y * x),  rho = 1 / sqrt(mean(x^2) + eps)
#include "ops/rms_norm_backward.h"

#include <algorithm>

#include "cpu/simd/gradient_rows.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

namespace bitaxon::cpu {
namespace {

using namespace rms_norm_backward_operand;

struct Scratch {
  float* norm;  ///< [D]: used if the norm is not stored by columns

  Scratch(ScratchLayout& layout, const NodeView& node, int)
      : norm(layout.take<float>(node.shape(rms_norm_backward_operand::norm)[2])) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t cols = args.shape(g_y)[1];
  const std::int64_t width = args.shape(x)[1];
  const float eps = args.params<RmsNormParams>().eps;
  const float* weight = columns_of(args.weight(norm), scratch.norm);
  args.pool.parallel_for(args.valid_rows(x), 4 * cols,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t r = begin; r < end; ++r) {
                             float* to = args.data(g_x) + r * width;
                             rms_norm_backward_row(args.data(x) + r * width, weight, eps,
                                                   args.data(g_y) + r * cols, cols, to);
                             std::fill(to + cols, to + width, 0.0F);
                           }
                         });
}

}  // namespace

const CpuKernel simd_rms_norm_backward = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
