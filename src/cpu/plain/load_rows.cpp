//   y[r] = store[store_row + r], or y[o] = store[output_rows[o]]
#include "ops/load_rows.h"

#include <algorithm>

#include "cpu/kernel.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace load_rows_operand;
  const std::int64_t cols = args.shape(y).elements() / args.shape(y)[0];
  const bool selects = args.params<LoadRowsParams>().select == RowSelect::outputs;
  args.pool.parallel_for(args.valid_rows(y), cols, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t row = selects ? args.output_row(r) : args.step.store_row + r;
      std::copy_n(args.data<std::uint32_t>(store) + row * cols, cols,
                  args.data<std::uint32_t>(y) + r * cols);
    }
  });
}

}  // namespace

const CpuKernel load_rows_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
