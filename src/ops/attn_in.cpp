#include "ops/attn_in.h"

#include "bitaxon/ops.h"
#include "ops/checks.h"

namespace bitaxon {
namespace {

void check_ring(std::string_view argument, const Tensor& ring, std::int64_t d_model,
                std::int64_t n_rows) {
  check_argument(!ring.empty() && ring.shape().rank() == 2 && ring.shape()[0] >= n_rows, "attn_in",
                 argument, "a ring of at least as many rows as the step",
                 ring.empty() ? "an empty handle" : ring.shape().to_string());
  const DType dtype = ring.dtype() == DType::f16 ? DType::f16 : DType::f32;
  check_state("attn_in", argument, ring, dtype, {ring.shape()[0], d_model});
}

}  // namespace

Tensor attn_in(const Tensor& x, const AttnInWeights& weights, float eps, const Tensor& keys,
               const Tensor& values) {
  const std::int64_t d_model = weight_shape("attn_in", "q", weights.q)[2];
  check_weight("attn_in", "q", weights.q, {1, d_model, d_model});
  check_weight("attn_in", "k", weights.k, {1, d_model, d_model});
  check_weight("attn_in", "v", weights.v, {1, d_model, d_model});
  if (!weights.norm.empty()) {
    check_weight("attn_in", "norm", weights.norm, {1, 1, d_model});
    check_eps("attn_in", eps);
  }
  const std::int64_t n_rows = check_rows("attn_in", "x", x, d_model);
  check_ring("keys", keys, d_model, n_rows);
  check_ring("values", values, d_model, n_rows);
  const Graph::Argument arguments[] = {{x},
                                       {weights.norm},
                                       {weights.q},
                                       {weights.k},
                                       {weights.v},
                                       {keys, Access::write},
                                       {values, Access::write}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, d_model}}};
  return x.graph().record(static_cast<std::uint16_t>(OpId::attn_in),
                          AttnInParams{weights.norm.empty() ? 0.0F : eps}, arguments, outputs)[0];
}

const OpInfo attn_in_info{
    "attn_in", [](const NodeView& node, const StepSizes& sizes) {
      using namespace attn_in_operand;
      const Value& ring = node.value(keys);
      const std::int64_t n = sizes.n_rows;
      const std::int64_t weights = weight_bytes(node, q_proj) + weight_bytes(node, k_proj) +
                                   weight_bytes(node, v_proj) + weight_bytes(node, norm);
      return Cost{weights + activation_bytes(node, x, sizes) + activation_bytes(node, q, sizes) +
                      2 * n * ring.shape[1] * static_cast<std::int64_t>(size_of(ring.dtype)),
                  3 * product_flops(node, q_proj, n), weights};
    }};

}  // namespace bitaxon
