//   result = sum_i vector[i]^2
#include "ops/sum_squares.h"

#include <algorithm>

#include "core/align.h"
#include "cpu/products.h"
#include "cpu/simd/kernels.h"

namespace bitaxon::cpu {
namespace {

using namespace sum_squares_operand;

/// The elements that are added at a time. Threads share these blocks.
constexpr std::int64_t kBlock = 1 << 16;

struct Scratch {
  double* sums;  ///< [blocks]

  Scratch(ScratchLayout& layout, const NodeView& node, int)
      : sums(layout.take<double>(divide_up(node.shape(vector)[1], kBlock))) {}
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t n = args.shape(vector)[1];
  const std::int64_t n_blocks = divide_up(n, kBlock);
  args.pool.parallel_for(n_blocks, 2 * kBlock, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t block = begin; block < end; ++block) {
      const float* from = args.data(vector) + block * kBlock;
      scratch.sums[block] = dot(from, from, std::min(kBlock, n - block * kBlock));
    }
  });
  double sum = 0;
  for (std::int64_t block = 0; block < n_blocks; ++block) sum += scratch.sums[block];
  args.data(result)[0] = static_cast<float>(sum);
}

}  // namespace

const CpuKernel simd_sum_squares = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
