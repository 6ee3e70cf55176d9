//   y[r, c] = norm[c] * x[r, c] / sqrt(mean(x[r, :D]^2) + eps),  c < D
#include "ops/rms_norm.h"

#include "cpu/kernel.h"
#include "cpu/plain/formulas/rms_norm.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* norm;  ///< [D]

  Scratch(ScratchLayout& layout, const NodeView& node, int)
      : norm(layout.take<float>(node.shape(rms_norm_operand::norm)[2])) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace rms_norm_operand;
  const std::int64_t cols = args.shape(y)[1];
  const std::int64_t width = args.shape(x)[1];
  const auto eps = static_cast<double>(args.params<RmsNormParams>().eps);
  decode_all(args.weight(norm), scratch.norm);
  args.pool.parallel_for(args.valid_rows(x), 4 * cols,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t r = begin; r < end; ++r)
                             formulas::rms_norm(args.data(x) + r * width, scratch.norm, eps, cols,
                                                args.data(y) + r * cols);
                         });
}

}  // namespace

const CpuKernel rms_norm_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
