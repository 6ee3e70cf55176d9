//   y = a + b
#include "ops/add.h"

#include "cpu/kernel.h"
#include "ops/checks.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace add_operand;
  const float* left = args.data(a);
  const float* right = args.data(b);
  float* out = args.data(y);
  args.pool.parallel_for(valid_elements(args, y, sizes_of(args.step)), 1,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t i = begin; i < end; ++i) out[i] = left[i] + right[i];
                         });
}

}  // namespace

const CpuKernel add_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
