//   log_probs[output_rows[o]] = log softmax(logits[o])[label]
//   g_logits[o, v] = factors[output_rows[o]] * (softmax(logits[o])[v] - (v == label))
#include "ops/cross_entropy.h"

#include <cmath>

#include "cpu/simd/gradient_rows.h"
#include "cpu/simd/kernels.h"

namespace bitaxon::cpu {
namespace {

/// Computes g_logits of one output and returns its log-probability. The sum of the exponentials
/// leaves out the label, so that it keeps its relative precision if the label has nearly all of the
/// probability.
float compute(const float* logits, std::int64_t n, std::int64_t label, float factor,
              float* g_logits) {
  const float largest = largest_of(logits, n);
  const float others =
      sum_of_exps(logits, label, largest) + sum_of_exps(logits + label + 1, n - label - 1, largest);
  const float distance = logits[label] - largest;
  const float total = others + std::exp(distance);
  scaled_exps(logits, n, largest, factor / total, g_logits);
  g_logits[label] = -(factor * (others / total));
  return distance == 0 ? -std::log1p(others) : distance - std::log(total);
}

void run(const KernelArgs& args) {
  using namespace cross_entropy_operand;
  const std::int64_t n = args.shape(logits)[1];
  args.pool.parallel_for(
      args.valid_rows(logits), 10 * n, [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t o = begin; o < end; ++o) {
          const std::int64_t row = args.output_row(o);
          args.data(log_probs)[row] =
              compute(args.data(logits) + o * n, n, args.step.ids[static_cast<std::size_t>(o)],
                      args.data(factors)[row], args.data(g_logits) + o * n);
        }
      });
}

}  // namespace

const CpuKernel simd_cross_entropy = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
