//   y[r, c] = x[r, c] / (1 - p) if the element is kept, else 0
#include "ops/dropout.h"

#include "cpu/kernel.h"
#include "cpu/micro_rows.h"
#include "cpu/plain/formulas/dropout.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace dropout_operand;
  const auto params = args.params<DropoutParams>();
  const std::int64_t n_cols = args.shape(y)[1];
  const std::int64_t cost = args.has(masks) ? n_cols : 60 * n_cols;
  args.pool.parallel_for(args.valid_rows(y), cost, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* row = args.data(x) + r * n_cols;
      float* to = args.data(y) + r * n_cols;
      if (args.has(masks)) {
        const float* mask = args.data(masks) + params.first_column +
                            (args.step.store_row + r) * args.shape(masks)[1];
        formulas::drop_row(
            params.p, row, n_cols, [&](std::int64_t c) { return mask[c] != 0; }, to);
        continue;
      }
      const MicroRow micro = micro_row(args.step, r);
      formulas::drop_row(
          params.p, row, n_cols,
          [&](std::int64_t c) { return formulas::is_kept(params, micro.batch, micro.row, c); }, to);
    }
  });
}

}  // namespace

const CpuKernel dropout_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
