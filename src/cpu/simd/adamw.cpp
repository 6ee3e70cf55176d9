//   m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2,  g = clip * gradient
//   p = p * (1 - decay) - rate * (m / c1) / (sqrt(v / c2) + eps)
#include "ops/adamw.h"

#include <algorithm>

#include "core/align.h"
#include "cpu/simd/gradient_rows.h"
#include "cpu/simd/kernels.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace adamw_operand;
  constexpr std::int64_t kBlock = 4096;
  const std::int64_t n = args.shape(parameters)[1];
  args.pool.parallel_for(
      divide_up(n, kBlock), 16 * kBlock, [&](std::int64_t begin, std::int64_t end, int) {
        const std::int64_t at = begin * kBlock;
        adamw_elements(args.data(numbers), args.data(gradients) + at,
                       std::min(n, end * kBlock) - at, args.data(parameters) + at,
                       args.data(first) + at, args.data(second) + at);
      });
}

}  // namespace

const CpuKernel simd_adamw = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
