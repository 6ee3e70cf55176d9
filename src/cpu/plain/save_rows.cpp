//   store[store_row + r] = x[r], or store[output_rows[o]] = x[o]
#include "ops/save_rows.h"

#include <algorithm>

#include "cpu/kernel.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace save_rows_operand;
  const std::int64_t cols = args.shape(x).elements() / args.shape(x)[0];
  const bool selects = args.value(x).row_space == RowSpace::outputs;
  args.pool.parallel_for(args.valid_rows(x), cols, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t row = selects ? args.output_row(r) : args.step.store_row + r;
      std::copy_n(args.data<std::uint32_t>(x) + r * cols, cols,
                  args.data<std::uint32_t>(store) + row * cols);
    }
  });
}

}  // namespace

const CpuKernel save_rows_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
