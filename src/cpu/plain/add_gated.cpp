//   y[r] = x[r] + gates[r, column] * b[r]
#include "ops/add_gated.h"

#include "cpu/kernel.h"
#include "cpu/plain/formulas/add_gated.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace add_gated_operand;
  const std::int64_t cols = args.shape(x)[1];
  const std::int64_t n_gates = args.shape(gates)[1];
  const std::int64_t column = args.params<AddGatedParams>().column;
  args.pool.parallel_for(args.valid_rows(x), 2 * cols,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t r = begin; r < end; ++r)
                             formulas::add_gated(args.data(x) + r * cols, args.data(b) + r * cols,
                                                 args.data(gates)[r * n_gates + column], cols,
                                                 args.data(y) + r * cols);
                         });
}

}  // namespace

const CpuKernel add_gated_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
