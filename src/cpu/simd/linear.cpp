//   y[r, o] = sum_c w[o, c] * n(x[r, :cols])[c] + bias[o] + residual[r, o]
#include "ops/linear.h"

#include <algorithm>

#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

namespace bitaxon::cpu {
namespace {

using namespace linear_operand;

struct Scratch {
  std::int64_t max_rows, cols;
  float* gathered;  ///< [R, cols]: the selected rows and columns, after the norm
  MatrixRows rows;
  TileMemory memory;
  float* bias;  ///< [rows of the weight]: used if the bias is not stored by columns

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : max_rows(node.shape(x)[0]),
        cols(node.shape(weight)[2]),
        gathered(layout.take<float>(max_rows * cols)),
        rows(layout, max_rows, cols),
        memory(layout, max_rows, cols, 1, n_threads),
        bias(layout.take<float>(node.has(linear_operand::bias) ? node.shape(weight)[1] : 0)) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const auto params = args.params<LinearParams>();
  const PackedWeight& w = args.weight(weight);
  const std::int64_t cols = w.desc.cols;
  const std::int64_t out_cols = w.desc.rows;
  const std::int64_t n_rows = args.valid_rows(y);
  const std::int64_t width = args.shape(x)[1];
  const bool selects = params.select == RowSelect::outputs;
  const float* source = args.data(x);
  if (selects || width != cols) {
    for (std::int64_t r = 0; r < n_rows; ++r)
      std::copy_n(source + (selects ? args.output_row(r) : r) * width, cols,
                  scratch.gathered + r * cols);
    source = scratch.gathered;
  }
  if (args.has(norm)) {
    norm_rows(args, source, args.weight(norm), params.eps, n_rows, cols, scratch.gathered);
    source = scratch.gathered;
  }
  scratch.rows.prepare(args, source, n_rows, args.precision, {&w});
  const float* biases = args.has(bias) ? columns_of(args.weight(bias), scratch.bias) : nullptr;
  const float* added = args.has(residual) ? args.data(residual) : nullptr;
  float* out = args.data(y);
  for_each_tile(
      args, {&w}, scratch.rows, n_rows, scratch.memory,
      [&](int, std::int64_t r, std::int64_t first, const float* values, std::int64_t count) {
        const std::int64_t at = r * out_cols + first;
        for (std::int64_t i = 0; i < count; ++i) {
          float value = values[i];
          if (biases != nullptr) value += biases[first + i];
          out[at + i] = added != nullptr ? value + added[at + i] : value;
        }
      });
}

}  // namespace

const CpuKernel simd_linear = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
