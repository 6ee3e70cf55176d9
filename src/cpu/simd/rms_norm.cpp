//   y[r, c] = norm[c] * x[r, c] / sqrt(mean(x[r, :D]^2) + eps),  c < D
#include "ops/rms_norm.h"

#include "cpu/simd/kernels.h"
#include "cpu/simd/rows.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace rms_norm_operand;
  const std::int64_t cols = args.shape(y)[1];
  const std::int64_t width = args.shape(x)[1];
  const float eps = args.params<RmsNormParams>().eps;
  const float* weight = args.weight(norm).columns;
  args.pool.parallel_for(
      args.valid_rows(x), 4 * cols, [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t r = begin; r < end; ++r)
          rms_norm_row(args.data(x) + r * width, weight, eps, cols, args.data(y) + r * cols);
      });
}

}  // namespace

const CpuKernel simd_rms_norm = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
