//   y[r, o] = sum_c w[o, c] * n(x[r, :])[c] + residual[r, o]
#include "ops/linear.h"

#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* norm;    ///< [cols]
  float* normed;  ///< [R, cols]
  float* rows;    ///< [n_threads, cols]
  std::size_t size_bytes;

  Scratch(std::byte* base, bool has_norm, std::int64_t n_rows, std::int64_t cols, int n_threads) {
    ScratchLayout layout(base);
    norm = layout.take<float>(has_norm ? cols : 0);
    normed = layout.take<float>(has_norm ? n_rows * cols : 0);
    rows = layout.take<float>(n_threads * cols);
    size_bytes = layout.size_bytes();
  }
};

void run(const KernelArgs& args) {
  using namespace linear_operand;
  const auto params = args.params<LinearParams>();
  const PackedWeight& w = args.weight(weight);
  const std::int64_t cols = w.desc.cols;
  const std::int64_t out_cols = w.desc.rows;
  const bool selects = params.select == RowSelect::outputs;
  const std::int64_t n_rows = args.valid_rows(y);
  const Scratch scratch(args.scratch, args.has(norm), args.shape(x)[0], cols,
                        args.pool.n_threads());
  const auto source_row = [&](std::int64_t r) { return selects ? args.output_row(r) : r; };
  const float* source = args.data(x);
  if (args.has(norm)) {
    decode_all(args.weight(norm), scratch.norm);
    for (std::int64_t r = 0; r < n_rows; ++r)
      rms_norm(source + source_row(r) * cols, scratch.norm, params.eps, cols,
               scratch.normed + r * cols);
  }
  const float* added = args.has(residual) ? args.data(residual) : nullptr;
  float* out = args.data(y);
  for_each_product(
      args, w, 0, n_rows, scratch.rows,
      [&](std::int64_t r) {
        return args.has(norm) ? scratch.normed + r * cols : source + source_row(r) * cols;
      },
      [&](std::int64_t r, std::int64_t o, double product) {
        const std::int64_t at = r * out_cols + o;
        if (added != nullptr) product += static_cast<double>(added[at]);
        out[at] = static_cast<float>(product);
      });
}

std::size_t workspace(const Graph& graph, const Node& node, int n_threads) {
  using namespace linear_operand;
  const Shape& shape = graph.value(node.operands[x].value).shape;
  return Scratch(nullptr, node.operands[norm].value >= 0, shape[0], shape[1], n_threads).size_bytes;
}

}  // namespace

const CpuKernel linear_kernel{run, workspace};

}  // namespace bitaxon::cpu
