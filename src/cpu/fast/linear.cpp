//   y[r, o] = sum_c w[o, c] * n(x[r, :])[c] + residual[r, o]
#include "ops/linear.h"

#include "cpu/fast/kernels.h"
#include "cpu/fast/matrix.h"
#include "cpu/fast/rows.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  ScratchLayout layout;
  float* gathered;  ///< [R, cols]: normed rows, or the chosen ones
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
  const bool last_only = params.select == RowSelect::last_of_segment;
  const std::int64_t n_rows = args.valid_rows(y);
  Scratch scratch(args.scratch, args.shape(x)[0], cols, args.pool.n_threads());
  const float* source = args.data(x);
  if (args.has(norm) || last_only) {
    const float* norm_weight = args.has(norm) ? args.weight(norm).columns : nullptr;
    args.pool.parallel_for(n_rows, 4 * cols, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t r = begin; r < end; ++r) {
        std::int64_t from = r;
        if (last_only) {
          const SegmentWords& segment = args.step.segments[static_cast<std::size_t>(r)];
          from = static_cast<std::int64_t>(segment.first_row + segment.n_rows) - 1;
        }
        float* to = scratch.gathered + r * cols;
        if (norm_weight != nullptr)
          fast_rms_norm(source + from * cols, norm_weight, params.eps, cols, to);
        else
          std::copy_n(source + from * cols, cols, to);
      }
    });
    source = scratch.gathered;
  }
  scratch.rows.prepare(args, source, n_rows, {&w});
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

const CpuKernel fast_linear{run, workspace};

}  // namespace bitaxon::cpu
