//   g_gate = g_y * up * silu'(gate), g_up = g_y * silu(gate)
#include "ops/silu_mul_backward.h"

#include "cpu/kernel.h"
#include "cpu/plain/formulas/silu_mul.h"
#include "ops/checks.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace silu_mul_backward_operand;
  args.pool.parallel_for(valid_elements(args, g_y, sizes_of(args.step)), 40,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t i = begin; i < end; ++i) {
                             const auto slopes = formulas::silu_mul_backward(
                                 args.data(gate)[i], args.data(up)[i], args.data(g_y)[i]);
                             args.data(g_gate)[i] = slopes.gate;
                             args.data(g_up)[i] = slopes.up;
                           }
                         });
}

}  // namespace

const CpuKernel silu_mul_backward_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
