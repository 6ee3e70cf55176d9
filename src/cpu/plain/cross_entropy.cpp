//   log_probs[output_rows[o]] = log softmax(logits[o])[label]
//   g_logits[o, v] = factors[output_rows[o]] * (softmax(logits[o])[v] - (v == label))
#include "ops/cross_entropy.h"

#include "cpu/kernel.h"
#include "cpu/plain/formulas/cross_entropy.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace cross_entropy_operand;
  const std::int64_t n = args.shape(logits)[1];
  args.pool.parallel_for(
      args.valid_rows(logits), 40 * n, [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t o = begin; o < end; ++o) {
          const std::int64_t row = args.output_row(o);
          args.data(log_probs)[row] = static_cast<float>(formulas::cross_entropy(
              args.data(logits) + o * n, n, args.step.ids[static_cast<std::size_t>(o)],
              static_cast<double>(args.data(factors)[row]), args.data(g_logits) + o * n));
        }
      });
}

}  // namespace

const CpuKernel cross_entropy_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
