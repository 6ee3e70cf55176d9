//   g = softmax(gate @ rms(x));  experts = top_k of g;  gates = g[experts], sigmoid(shared @
//   rms(x))
#include "ops/moe_route.h"

#include <algorithm>
#include <cmath>

#include "cpu/choose_experts.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"
#include "cpu/simd/rows.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_route_operand;

struct Scratch {
  std::int64_t max_rows, d_model;
  MatrixRows rows;
  TileMemory memory;
  double* logits;  ///< [R, X]
  float* shared;   ///< [R]: logits of the shared expert's gate

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : max_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        rows(layout, max_rows, d_model),
        memory(layout, max_rows, d_model, 1, n_threads),
        logits(layout.take<double>(max_rows * node.shape(gate)[1])),
        shared(layout.take<float>(max_rows)) {}
};

/// Computes the logit of the shared expert for each row. The weight of this gate is a vector, but
/// it may be stored as a matrix.
void shared_logits(const KernelArgs& args, const float* rows, const Scratch& scratch) {
  const PackedWeight& weight = args.weight(shared_gate);
  const std::int64_t d_model = scratch.rows.cols();
  if (weight.columns != nullptr) {
    for (std::int64_t r = 0; r < args.n_rows(); ++r)
      scratch.shared[r] = simd_dot(weight.columns, rows + r * d_model, d_model);
    return;
  }
  for_each_tile(args, {&weight}, scratch.rows, args.n_rows(), scratch.memory,
                [&](int, std::int64_t r, std::int64_t, const float* values, std::int64_t) {
                  scratch.shared[r] = values[0];
                });
}

void run(const KernelArgs& args, Scratch& scratch) {
  const auto params = args.params<MoeRouteParams>();
  const std::int64_t d_model = args.shape(x)[1];
  const PackedWeight& router = args.weight(gate);
  const std::int64_t n_experts = router.desc.rows;
  const std::int64_t n_rows = args.n_rows();
  float* rows = args.data(normed);
  if (args.has(norm))
    norm_rows(args, args.data(x), args.weight(norm), params.eps, n_rows, d_model, rows);
  else
    std::copy_n(args.data(x), n_rows * d_model, rows);
  // The choice of experts depends on small differences of logits, so these products are exact even
  // with precision "fast".
  scratch.rows.prepare(args, rows, n_rows, Precision::exact, {&router});
  for_each_tile(
      args, {&router}, scratch.rows, n_rows, scratch.memory,
      [&](int, std::int64_t r, std::int64_t first, const float* values, std::int64_t count) {
        std::copy_n(values, count, scratch.logits + r * n_experts + first);
      });
  if (args.has(shared_gate)) shared_logits(args, rows, scratch);
  for (std::int64_t r = 0; r < n_rows; ++r) {
    float* out = args.data(gates) + r * (params.top_k + 1);
    choose_experts(scratch.logits + r * n_experts, n_experts, params.top_k,
                   args.data<std::int32_t>(experts) + r * params.top_k, out);
    if (params.renormalize != 0) renormalize(out, params.top_k);
    out[params.top_k] = args.has(shared_gate) ? 1.0F / (1.0F + std::exp(-scratch.shared[r])) : 0.0F;
  }
}

}  // namespace

const CpuKernel simd_moe_route = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
