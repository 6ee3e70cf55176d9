//   g_x = rho * norm * g_y - x * rho^3 * mean(norm * g_y * x),  rho = 1 / sqrt(mean(x^2) + eps)
#include "ops/rms_norm_backward.h"

#include <algorithm>

#include "cpu/kernel.h"
#include "cpu/plain/formulas/rms_norm.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* norm;  ///< [D]

  Scratch(ScratchLayout& layout, const NodeView& node, int)
      : norm(layout.take<float>(node.shape(rms_norm_backward_operand::norm)[2])) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace rms_norm_backward_operand;
  const std::int64_t cols = args.shape(g_y)[1];
  const std::int64_t width = args.shape(x)[1];
  const auto eps = static_cast<double>(args.params<RmsNormParams>().eps);
  decode_all(args.weight(norm), scratch.norm);
  args.pool.parallel_for(args.valid_rows(x), 9 * cols,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t r = begin; r < end; ++r) {
                             float* to = args.data(g_x) + r * width;
                             formulas::rms_norm_backward(args.data(x) + r * width, scratch.norm,
                                                         eps, args.data(g_y) + r * cols, cols, to);
                             std::fill(to + cols, to + width, 0.0F);
                           }
                         });
}

}  // namespace

const CpuKernel rms_norm_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
