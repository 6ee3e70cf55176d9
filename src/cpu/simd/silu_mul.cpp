//   y = silu(gate) * up
#include "ops/silu_mul.h"

#include "cpu/simd/kernels.h"
#include "cpu/simd/rows.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace silu_mul_operand;
  const std::int64_t cols = args.shape(y).elements() / args.shape(y)[0];
  args.pool.parallel_for(args.valid_rows(y), 10 * cols,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t r = begin; r < end; ++r)
                             gated_product(args.data(gate) + r * cols, args.data(up) + r * cols,
                                           cols, args.data(y) + r * cols);
                         });
}

}  // namespace

const CpuKernel simd_silu_mul = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
