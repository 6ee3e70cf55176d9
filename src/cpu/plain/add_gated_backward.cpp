//   g_b[r] = gates[r, column] * g_y[r]
//   g_gates[r, column] = dot(g_y[r], b[r]), 0 in other columns
#include "ops/add_gated_backward.h"

#include <algorithm>

#include "cpu/kernel.h"
#include "cpu/plain/formulas/add_gated.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace add_gated_backward_operand;
  const std::int64_t cols = args.shape(b)[1];
  const std::int64_t n_gates = args.shape(gates)[1];
  const std::int64_t column = args.params<AddGatedParams>().column;
  args.pool.parallel_for(args.valid_rows(b), 3 * cols,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t r = begin; r < end; ++r) {
                             float* of_gates = args.data(g_gates) + r * n_gates;
                             std::fill_n(of_gates, n_gates, 0.0F);
                             of_gates[column] = formulas::add_gated_backward(
                                 args.data(b) + r * cols, args.data(gates)[r * n_gates + column],
                                 args.data(g_y) + r * cols, cols, args.data(g_b) + r * cols);
                           }
                         });
}

}  // namespace

const CpuKernel add_gated_backward_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
