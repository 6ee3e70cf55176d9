//   u = x A;  g_o = (m / n) * g_y;  t = scale * g_o B^T
//   g_m += colsum(g_y * o) / n;  g_B += scale * u^T g_o;  g_A += x^T t;  g_x = t A^T
#include "ops/adapter_backward.h"

#include <algorithm>

#include "cpu/kernel.h"
#include "cpu/plain/formulas/adapter.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  double* u;    ///< [rank]
  double* t;    ///< [rank]
  double* g_a;  ///< [in, rank]
  double* g_b;  ///< [rank, out]
  double* g_m;  ///< [out]

  Scratch(ScratchLayout& layout, const NodeView& node, int) {
    using namespace adapter_backward_operand;
    const std::int64_t n_in = node.shape(x)[1];
    const std::int64_t n_out = node.shape(g_y)[1];
    const std::int64_t rank = node.params<AdapterPlace>().rank;
    u = layout.take<double>(rank);
    t = layout.take<double>(rank);
    g_a = layout.take<double>(n_in * rank);
    g_b = layout.take<double>(rank * n_out);
    g_m = layout.take<double>(n_out);
  }
};

void add_to(float* gradients, const double* sums, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    gradients[i] = static_cast<float>(static_cast<double>(gradients[i]) + sums[i]);
}

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace adapter_backward_operand;
  const auto place = args.params<AdapterPlace>();
  const std::int64_t n_in = args.shape(x)[1];
  const std::int64_t n_out = args.shape(g_y)[1];
  const auto layer =
      formulas::layer_at<float>(place, args.data(parameters), args.data(norms), n_in, n_out);
  const bool is_dora = layer.m != nullptr;
  std::fill_n(scratch.g_a, n_in * layer.rank, 0.0);
  std::fill_n(scratch.g_b, layer.rank * n_out, 0.0);
  std::fill_n(scratch.g_m, n_out, 0.0);
  for (std::int64_t r = 0; r < args.valid_rows(x); ++r) {
    formulas::adapter_backward_row(
        layer, args.data(x) + r * n_in, is_dora ? args.data(base) + r * n_out : nullptr,
        args.data(g_y) + r * n_out, {scratch.g_a, scratch.g_b, scratch.g_m}, scratch.u, scratch.t,
        args.data(g_x) + r * n_in, is_dora ? args.data(g_base) + r * n_out : nullptr);
  }
  float* all = args.data(gradients);
  add_to(all + place.a, scratch.g_a, n_in * layer.rank);
  add_to(all + place.b, scratch.g_b, layer.rank * n_out);
  if (is_dora) add_to(all + place.m, scratch.g_m, n_out);
}

}  // namespace

const CpuKernel adapter_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
