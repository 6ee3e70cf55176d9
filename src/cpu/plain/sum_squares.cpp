//   result = sum_i vector[i]^2
#include "ops/sum_squares.h"

#include "cpu/kernel.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace sum_squares_operand;
  const float* values = args.data(vector);
  args.data(result)[0] = static_cast<float>(dot(values, values, args.shape(vector)[1]));
}

}  // namespace

const CpuKernel sum_squares_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
