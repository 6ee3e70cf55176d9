//   g_gate = g_y * up * silu'(gate), g_up = g_y * silu(gate)
#include "ops/silu_mul_backward.h"

#include "cpu/simd/gradient_rows.h"
#include "cpu/simd/kernels.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace silu_mul_backward_operand;
  const std::int64_t cols = args.shape(g_y).elements() / args.shape(g_y)[0];
  args.pool.parallel_for(
      args.valid_rows(g_y), 10 * cols, [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t at = begin * cols; at < end * cols; at += cols)
          gated_product_backward(args.data(gate) + at, args.data(up) + at, args.data(g_y) + at,
                                 cols, args.data(g_gate) + at, args.data(g_up) + at);
      });
}

}  // namespace

const CpuKernel simd_silu_mul_backward = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
