//   g_n = g_normed + gate^T d_logit + d_tau * shared_gate;  then back through the RMS norm
// formulas/router.h has d_logit; d_tau = g_gates[top_k] * tau * (1 - tau).
#include "ops/moe_route_backward.h"

#include <algorithm>

#include "cpu/plain/formulas/rms_norm.h"
#include "cpu/plain/formulas/router.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_route_backward_operand;

struct Scratch {
  std::int64_t d_model, n_experts;
  float* norm_weight;  ///< [D]
  float* shared;       ///< [D]
  float* router;       ///< [X, D]: the decoded gate
  float* rows;         ///< [n_threads, D]
  double* logits;      ///< [R, X]: logits, then their gradients
  double* sums;        ///< [n_threads, D]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : d_model(node.shape(x)[1]),
        n_experts(node.shape(gate)[1]),
        norm_weight(layout.take<float>(d_model)),
        shared(layout.take<float>(d_model)),
        router(layout.take<float>(n_experts * d_model)),
        rows(layout.take<float>(n_threads * d_model)),
        logits(layout.take<double>(node.shape(x)[0] * n_experts)),
        sums(layout.take<double>(n_threads * d_model)) {}
};

/// Computes the gradient of one row.
void run_row(const KernelArgs& args, const Scratch& scratch, std::int64_t r, int thread) {
  const std::int64_t d_model = scratch.d_model;
  const std::int64_t top_k = args.shape(experts)[1];
  double* sums = scratch.sums + thread * d_model;
  for (std::int64_t c = 0; c < d_model; ++c)
    sums[c] = args.has(g_normed) ? static_cast<double>(args.data(g_normed)[r * d_model + c]) : 0;
  if (args.has(g_gates)) {
    const float* g = args.data(g_gates) + r * (top_k + 1);
    double* logits = scratch.logits + r * scratch.n_experts;
    formulas::router_backward(logits, scratch.n_experts,
                              args.data<std::int32_t>(experts) + r * top_k, top_k,
                              args.params<MoeRouteBackwardParams>().renormalize != 0, g);
    for (std::int64_t e = 0; e < scratch.n_experts; ++e) {
      const float* row = scratch.router + e * d_model;
      for (std::int64_t c = 0; c < d_model; ++c) sums[c] += logits[e] * static_cast<double>(row[c]);
    }
    if (args.has(shared_gate)) {
      const auto tau = static_cast<double>(args.data(gates)[r * (top_k + 1) + top_k]);
      const double d_tau = static_cast<double>(g[top_k]) * tau * (1 - tau);
      for (std::int64_t c = 0; c < d_model; ++c)
        sums[c] += d_tau * static_cast<double>(scratch.shared[c]);
    }
  }
  float* out = args.data(g_x) + r * d_model;
  for (std::int64_t c = 0; c < d_model; ++c) out[c] = static_cast<float>(sums[c]);
  if (args.has(norm))
    formulas::rms_norm_backward(args.data(x) + r * d_model, scratch.norm_weight,
                                static_cast<double>(args.params<MoeRouteBackwardParams>().eps), out,
                                d_model, out);
}

void run(const KernelArgs& args, const Scratch& scratch) {
  decode_or_zeros(args, norm, scratch.norm_weight, scratch.d_model);
  decode_or_zeros(args, shared_gate, scratch.shared, scratch.d_model);
  if (args.has(g_gates)) {
    for (std::int64_t e = 0; e < scratch.n_experts; ++e)
      decode_row(args.weight(gate), 0, e, scratch.router + e * scratch.d_model);
    for_each_product(
        args, args.weight(gate), 0, args.n_rows(), scratch.rows,
        [&](std::int64_t r) { return args.data(normed) + r * scratch.d_model; },
        [&](std::int64_t r, std::int64_t e, double product) {
          scratch.logits[r * scratch.n_experts + e] = product;
        });
  }
  args.pool.parallel_for(args.n_rows(), 4 * scratch.n_experts * scratch.d_model,
                         [&](std::int64_t begin, std::int64_t end, int thread) {
                           for (std::int64_t r = begin; r < end; ++r)
                             run_row(args, scratch, r, thread);
                         });
}

}  // namespace

const CpuKernel moe_route_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
