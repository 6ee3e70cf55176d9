#include "ops/attn_append_backward.h"

#include <string>

#include "ops/checks.h"

namespace bitaxon {

AttnAppendGradients attn_append_backward(const Tensor& q, const Tensor& k,
                                         const AttnAppendWeights& weights, float eps,
                                         const Tensor& g_y, const Tensor& g_keys,
                                         const Tensor& g_values) {
  constexpr std::string_view kOp = "attn_append_backward";
  const std::int64_t n_rows = check_wide_rows(kOp, "q", q, 1);
  const std::int64_t kv_width = check_pages(kOp, "g_keys", g_keys);
  check_argument(g_keys.dtype() == DType::f32, kOp, "g_keys", "F32",
                 std::string(name_of(g_keys.dtype())));
  check_argument(check_pages(kOp, "g_values", g_values) == kv_width &&
                     g_values.dtype() == DType::f32 && in_one_group(g_keys, g_values),
                 kOp, "g_values", "pages like those of g_keys", g_values.shape().to_string());
  check_activation(kOp, "k", k, DType::f32, {n_rows, kv_width});
  check_activation(kOp, "g_y", g_y, DType::f32, q.shape());
  check_head_weights(kOp, weights, eps, q.shape()[1], kv_width);
  const Graph::Argument arguments[] = {
      {q}, {k}, {weights.q_norm}, {weights.k_norm}, {weights.rotary}, {g_y}, {g_keys}, {g_values}};
  const Graph::Output outputs[] = {
      {DType::f32, q.shape()}, {DType::f32, k.shape()}, {DType::f32, k.shape()}};
  const auto made = q.graph().record(static_cast<std::uint16_t>(OpId::attn_append_backward),
                                     append_params(weights, eps), arguments, outputs);
  return {made[0], made[1], made[2]};
}

const OpInfo attn_append_backward_info{
    "attn_append_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace attn_append_backward_operand;
      const std::int64_t weights = head_weight_bytes(node, q_norm, sizes.n_rows);
      const std::int64_t kv_width = node.shape(k)[1];
      const std::int64_t stored = weights + 2 * sizes.n_rows * kv_width * 4;
      std::int64_t bytes = stored;
      for (const int operand : {q, k, g_y, g_q, g_k, g_v})
        bytes += activation_bytes(node, operand, sizes);
      return Cost{bytes, sizes.n_rows * (node.shape(q)[1] + kv_width) * 12, stored};
    }};

}  // namespace bitaxon
