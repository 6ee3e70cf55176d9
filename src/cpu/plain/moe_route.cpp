//   g = softmax(gate @ rms(x));  experts = top_k of g;  gates = g[experts], sigmoid(shared @
//   rms(x))
#include "ops/moe_route.h"

#include <algorithm>
#include <cmath>

#include "cpu/choose_experts.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* norm;     ///< [D]
  float* rows;     ///< [n_threads, D]
  double* logits;  ///< [R, X]
  double* shared;  ///< [R]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    const std::int64_t n_rows = node.shape(moe_route_operand::x)[0];
    const std::int64_t d_model = node.shape(moe_route_operand::x)[1];
    norm = layout.take<float>(d_model);
    rows = layout.take<float>(n_threads * d_model);
    logits = layout.take<double>(n_rows * node.shape(moe_route_operand::gate)[1]);
    shared = layout.take<double>(n_rows);
  }
};

void run(const KernelArgs& args, const Scratch& scratch) {
  using namespace moe_route_operand;
  const auto params = args.params<MoeRouteParams>();
  const std::int64_t d_model = args.shape(x)[1];
  const std::int64_t n_experts = args.weight(gate).desc.rows;
  const std::int64_t top_k = params.top_k;
  float* rows = args.data(normed);
  if (args.has(norm))
    rms_norm_rows(args, args.data(x), args.weight(norm), params.eps, args.n_rows(), d_model,
                  scratch.norm, rows);
  else
    std::copy_n(args.data(x), args.n_rows() * d_model, rows);
  const auto row = [&](std::int64_t r) { return rows + r * d_model; };
  for_each_product(args, args.weight(gate), 0, args.n_rows(), scratch.rows, row,
                   [&](std::int64_t r, std::int64_t e, double product) {
                     scratch.logits[r * n_experts + e] = product;
                   });
  if (args.has(shared_gate))
    for_each_product(args, args.weight(shared_gate), 0, args.n_rows(), scratch.rows, row,
                     [&](std::int64_t r, std::int64_t, double product) {
                       scratch.shared[r] = 1.0 / (1.0 + std::exp(-product));
                     });
  for (std::int64_t r = 0; r < args.n_rows(); ++r) {
    double* g = scratch.logits + r * n_experts;
    float* out = args.data(gates) + r * (top_k + 1);
    choose_experts(g, n_experts, top_k, args.data<std::int32_t>(experts) + r * top_k, out);
    if (params.renormalize != 0) renormalize(out, top_k);
    out[top_k] = args.has(shared_gate) ? static_cast<float>(scratch.shared[r]) : 0.0F;
  }
}

}  // namespace

const CpuKernel moe_route_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
