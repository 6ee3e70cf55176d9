//   g_x[r, c] = sum_o g_y[r, o] * w[o, c] for c < cols, 0 for cols <= c < width
#include "ops/linear_backward.h"

#include <algorithm>

#include "cpu/simd/kernels.h"
#include "cpu/simd/transposed.h"

namespace bitaxon::cpu {
namespace {

using namespace linear_backward_operand;

struct Scratch {
  StripRows rows;
  BlockMemory memory;

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : rows(layout, node.shape(g_y)[0], node.shape(g_y)[1]),
        memory(layout, node.shape(g_y)[0], n_threads) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const PackedWeight& w = args.weight(weight);
  const std::int64_t width = args.shape(g_x)[1];
  const std::int64_t n_rows = args.valid_rows(g_y);
  float* out = args.data(g_x);
  scratch.rows.pack(args, args.data(g_y), w.desc.rows, nullptr, n_rows);
  for_each_transposed(args, w, 0, scratch.rows, scratch.memory,
                      [&](std::int64_t r, std::int64_t first, const float* values,
                          std::int64_t distance, std::int64_t count) {
                        float* to = out + r * width + first;
                        for (std::int64_t c = 0; c < count; ++c) to[c] = values[c * distance];
                      });
  if (width > w.desc.cols)
    for (std::int64_t r = 0; r < n_rows; ++r)
      std::fill(out + r * width + w.desc.cols, out + (r + 1) * width, 0.0F);
}

}  // namespace

const CpuKernel simd_linear_backward = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
