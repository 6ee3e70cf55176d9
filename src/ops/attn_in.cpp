#include "ops/attn_in.h"

#include "bitaxon/ops.h"
#include "ops/attn_append.h"
#include "ops/checks.h"

namespace bitaxon {
namespace {

void check_optional(std::string_view argument, const Tensor& weight, std::int64_t width) {
  if (!weight.empty()) check_weight("attn_in", argument, weight, {1, 1, width});
}

}  // namespace

Tensor attn_in(const Tensor& x, const AttnInWeights& weights, float eps, const Tensor& keys,
               const Tensor& values) {
  const Shape q_shape = weight_shape("attn_in", "q", weights.q);
  const std::int64_t d_model = q_shape[2];
  const std::int64_t q_width = q_shape[1];
  const std::int64_t kv_width = weight_shape("attn_in", "k", weights.k)[1];
  check_weight("attn_in", "q", weights.q, {1, q_width, d_model});
  check_weight("attn_in", "k", weights.k, {1, kv_width, d_model});
  check_weight("attn_in", "v", weights.v, {1, kv_width, d_model});
  if (!weights.norm.empty()) {
    check_weight("attn_in", "norm", weights.norm, {1, 1, d_model});
    check_eps("attn_in", eps);
  }
  check_optional("q_bias", weights.q_bias, q_width);
  check_optional("k_bias", weights.k_bias, kv_width);
  check_optional("v_bias", weights.v_bias, kv_width);
  check_head_weights("attn_in", {weights.q_norm, weights.k_norm, weights.rotary}, eps, q_width,
                     kv_width);
  const std::int64_t n_rows = check_rows("attn_in", "x", x, d_model);
  for (const auto& [argument, pages] : {std::pair("keys", keys), std::pair("values", values)}) {
    const std::int64_t width = check_pages("attn_in", argument, pages);
    check_argument(width == kv_width, "attn_in", argument,
                   "pages of rows of " + std::to_string(kv_width), pages.shape().to_string());
  }
  const Graph::Argument arguments[] = {
      {x},
      {weights.norm},
      {weights.q},
      {weights.k},
      {weights.v},
      {weights.q_bias},
      {weights.k_bias},
      {weights.v_bias},
      {weights.q_norm},
      {weights.k_norm},
      {weights.rotary},
      {keys, Access::write},
      {values, Access::write},
  };
  const Graph::Output outputs[] = {{DType::f32, {n_rows, q_width}}};
  const bool has_norm = !weights.norm.empty() || !weights.q_norm.empty() || !weights.k_norm.empty();
  return x.graph().record(static_cast<std::uint16_t>(OpId::attn_in),
                          AttnInParams{has_norm ? eps : 0.0F}, arguments, outputs)[0];
}

const OpInfo attn_in_info{
    "attn_in", [](const NodeView& node, const StepSizes& sizes) {
      using namespace attn_in_operand;
      const Value& pages = node.value(keys);
      const std::int64_t n = sizes.n_rows;
      std::int64_t weights = 0;
      for (int operand = norm; operand < rotary; ++operand) weights += weight_bytes(node, operand);
      // A step reads one row of the table for each of its rows.
      if (node.has(rotary)) weights += weight_bytes(node, rotary) / node.shape(rotary)[1] * n;
      return Cost{weights + activation_bytes(node, x, sizes) + activation_bytes(node, q, sizes) +
                      2 * n * pages.shape[1] * static_cast<std::int64_t>(size_of(pages.dtype)),
                  product_flops(node, q_proj, n) + product_flops(node, k_proj, n) +
                      product_flops(node, v_proj, n),
                  weights};
    }};

}  // namespace bitaxon
