//   y[r, o] = sum_c w[o, c] * n(x[r, :])[c] + residual[r, o]
#include "ops/linear.h"

#include <algorithm>

#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  ScratchLayout layout;
  float* gathered;  ///< [R, cols]: the selected rows, normed
  MatrixRows rows;
  TileMemory memory;

  Scratch(std::byte* base, std::int64_t n_rows, std::int64_t cols, int n_threads)
      : layout(base),
        gathered(layout.take<float>(n_rows * cols)),
        rows(layout, n_rows, cols),
        memory(layout, n_rows, cols, 1, n_threads) {}
};

void run(const KernelArgs& args) {
  using namespace linear_operand;
  const auto params = args.params<LinearParams>();
  const PackedWeight& w = args.weight(weight);
  const std::int64_t cols = w.desc.cols;
  const std::int64_t out_cols = w.desc.rows;
  const std::int64_t n_rows = args.valid_rows(y);
  Scratch scratch(args.scratch, args.shape(x)[0], cols, args.pool.n_threads());
  const float* source = args.data(x);
  if (params.select == RowSelect::outputs) {
    for (std::int64_t r = 0; r < n_rows; ++r)
      std::copy_n(source + args.output_row(r) * cols, cols, scratch.gathered + r * cols);
    source = scratch.gathered;
  }
  if (args.has(norm)) {
    norm_rows(args, source, args.weight(norm), params.eps, n_rows, cols, scratch.gathered);
    source = scratch.gathered;
  }
  scratch.rows.prepare(args, source, n_rows, args.fast, {&w});
  const float* added = args.has(residual) ? args.data(residual) : nullptr;
  float* out = args.data(y);
  for_each_tile(
      args, {&w}, scratch.rows, n_rows, scratch.memory,
      [&](int, std::int64_t r, std::int64_t first, const float* values, std::int64_t count) {
        const std::int64_t at = r * out_cols + first;
        for (std::int64_t i = 0; i < count; ++i)
          out[at + i] = added != nullptr ? values[i] + added[at + i] : values[i];
      });
}

std::size_t workspace(const Graph& graph, const Node& node, int n_threads) {
  const Shape& shape = graph.value(node.operands[linear_operand::x].value).shape;
  return Scratch(nullptr, shape[0], shape[1], n_threads).layout.size_bytes();
}

}  // namespace

const CpuKernel simd_linear{run, workspace};

}  // namespace bitaxon::cpu
