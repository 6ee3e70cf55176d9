//   m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2,  g = clip * gradient
//   p = p * (1 - decay) - rate * (m / c1) / (sqrt(v / c2) + eps)
#include "ops/adamw.h"

#include "cpu/kernel.h"
#include "cpu/plain/formulas/adamw.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace adamw_operand;
  args.pool.parallel_for(
      args.shape(parameters)[1], 30, [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t i = begin; i < end; ++i)
          formulas::adamw(args.data(numbers), args.data(gradients)[i], args.data(parameters)[i],
                          args.data(first)[i], args.data(second)[i]);
      });
}

}  // namespace

const CpuKernel adamw_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
