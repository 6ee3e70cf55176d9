//   y[r, c] = norm[c] * x[r, c] / sqrt(mean(x[r]^2) + eps)
#include "ops/rms_norm.h"

#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace rms_norm_operand;
  norm_rows(args, args.data(x), args.weight(norm), args.params<RmsNormParams>().eps,
            args.valid_rows(x), args.shape(x)[1], args.data(y));
}

}  // namespace

const CpuKernel simd_rms_norm = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
