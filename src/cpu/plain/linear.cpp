//   y[r, o] = sum_c w[o, c] * n(x[r, :cols])[c] + bias[o] + residual[r, o]
#include "ops/linear.h"

#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* norm;    ///< [cols]
  float* normed;  ///< [R, cols]
  float* rows;    ///< [n_threads, cols]
  float* bias;    ///< [rows of the weight]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    const std::int64_t cols = node.shape(linear_operand::weight)[2];
    const bool has_norm = node.has(linear_operand::norm);
    norm = layout.take<float>(has_norm ? cols : 0);
    normed = layout.take<float>(has_norm ? node.shape(linear_operand::x)[0] * cols : 0);
    rows = layout.take<float>(n_threads * cols);
    bias = layout.take<float>(node.has(linear_operand::bias) ? node.shape(linear_operand::weight)[1]
                                                             : 0);
  }
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace linear_operand;
  const auto params = args.params<LinearParams>();
  const PackedWeight& w = args.weight(weight);
  const std::int64_t cols = w.desc.cols;
  const std::int64_t out_cols = w.desc.rows;
  const bool selects = params.select == RowSelect::outputs;
  const std::int64_t n_rows = args.valid_rows(y);
  const std::int64_t width = args.shape(x)[1];
  const auto source_row = [&](std::int64_t r) {
    return args.data(x) + (selects ? args.output_row(r) : r) * width;
  };
  if (args.has(norm)) {
    decode_all(args.weight(norm), scratch.norm);
    for (std::int64_t r = 0; r < n_rows; ++r)
      rms_norm(source_row(r), scratch.norm, params.eps, cols, scratch.normed + r * cols);
  }
  if (args.has(bias)) decode_all(args.weight(bias), scratch.bias);
  const float* added = args.has(residual) ? args.data(residual) : nullptr;
  float* out = args.data(y);
  for_each_product(
      args, w, 0, n_rows, scratch.rows,
      [&](std::int64_t r) { return args.has(norm) ? scratch.normed + r * cols : source_row(r); },
      [&](std::int64_t r, std::int64_t o, double product) {
        const std::int64_t at = r * out_cols + o;
        if (args.has(bias)) product += static_cast<double>(scratch.bias[o]);
        if (added != nullptr) product += static_cast<double>(added[at]);
        out[at] = static_cast<float>(product);
      });
}

}  // namespace

const CpuKernel linear_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
