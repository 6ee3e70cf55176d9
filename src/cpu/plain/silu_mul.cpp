//   y = silu(gate) * up
#include "ops/silu_mul.h"

#include "cpu/kernel.h"
#include "cpu/plain/formulas/silu_mul.h"
#include "ops/checks.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace silu_mul_operand;
  args.pool.parallel_for(valid_elements(args, y, sizes_of(args.step)), 20,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t i = begin; i < end; ++i)
                             args.data(y)[i] =
                                 formulas::silu_mul(args.data(gate)[i], args.data(up)[i]);
                         });
}

}  // namespace

const CpuKernel silu_mul_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
