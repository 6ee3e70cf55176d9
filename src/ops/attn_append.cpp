#include "ops/attn_append.h"

#include <string>

#include "ops/checks.h"

namespace bitaxon {

void check_head_weights(std::string_view op, const AttnAppendWeights& weights, float eps,
                        std::int64_t q_width, std::int64_t kv_width) {
  if (!weights.rotary.empty()) {
    const Shape table = weight_shape(op, "rotary", weights.rotary);
    check_argument(table[0] == 1 && table[2] % 2 == 0, op, "rotary",
                   "a weight [1, positions, d] with an even d", table.to_string());
  }
  std::int64_t head_dim = 0;
  for (const Tensor& tensor : {weights.q_norm, weights.k_norm, weights.rotary})
    if (!tensor.empty() && head_dim == 0) head_dim = tensor.shape()[2];
  if (head_dim == 0) return;
  check_argument(q_width % head_dim == 0 && kv_width % head_dim == 0, op, "head",
                 "a divisor of the widths of q and k, which are " + std::to_string(q_width) +
                     " and " + std::to_string(kv_width),
                 std::to_string(head_dim));
  if (!weights.q_norm.empty()) check_weight(op, "q_norm", weights.q_norm, {1, 1, head_dim});
  if (!weights.k_norm.empty()) check_weight(op, "k_norm", weights.k_norm, {1, 1, head_dim});
  if (!weights.rotary.empty())
    check_weight(op, "rotary", weights.rotary, {1, weights.rotary.shape()[1], head_dim});
  if (!weights.q_norm.empty() || !weights.k_norm.empty()) check_eps(op, eps);
}

AttnAppendParams append_params(const AttnAppendWeights& weights, float eps) {
  return {weights.q_norm.empty() && weights.k_norm.empty() ? 0.0F : eps};
}

std::int64_t turned_head_width(const NodeView& node, int first_operand) {
  for (int operand = first_operand; operand < first_operand + 3; ++operand)
    if (node.has(operand)) return node.shape(operand)[2];
  return 0;
}

std::int64_t head_weight_bytes(const NodeView& node, int first_operand, std::int64_t n_rows) {
  const int table = first_operand + 2;
  std::int64_t bytes = weight_bytes(node, first_operand) + weight_bytes(node, first_operand + 1);
  // A step reads one row of the table for each of its rows.
  if (node.has(table)) bytes += weight_bytes(node, table) / node.shape(table)[1] * n_rows;
  return bytes;
}

Tensor attn_append(const Tensor& q, const Tensor& k, const Tensor& v,
                   const AttnAppendWeights& weights, float eps, const Tensor& keys,
                   const Tensor& values) {
  constexpr std::string_view kOp = "attn_append";
  const std::int64_t n_rows = check_wide_rows(kOp, "q", q, 1);
  const std::int64_t kv_width = check_pages(kOp, "keys", keys);
  check_argument(check_pages(kOp, "values", values) == kv_width && keys.dtype() == values.dtype() &&
                     in_one_group(keys, values),
                 kOp, "values", "pages like those of the keys", values.shape().to_string());
  check_activation(kOp, "k", k, DType::f32, {n_rows, kv_width});
  check_activation(kOp, "v", v, DType::f32, {n_rows, kv_width});
  check_head_weights(kOp, weights, eps, q.shape()[1], kv_width);
  const Graph::Argument arguments[] = {{q},
                                       {k},
                                       {v},
                                       {weights.q_norm},
                                       {weights.k_norm},
                                       {weights.rotary},
                                       {keys, Access::write},
                                       {values, Access::write}};
  const Graph::Output outputs[] = {{DType::f32, q.shape()}};
  return q.graph().record(static_cast<std::uint16_t>(OpId::attn_append),
                          append_params(weights, eps), arguments, outputs)[0];
}

namespace {

void record_gradient(const NodeGradient& node) {
  using namespace attn_append_operand;
  const AttnAppendGradients gradients =
      attn_append_backward(node.operand(q), node.operand(k),
                           {node.operand(q_norm), node.operand(k_norm), node.operand(rotary)},
                           node.params<AttnAppendParams>().eps, node.of_output(y),
                           node.of_state(keys), node.of_state(values));
  node.add(q, gradients.q);
  node.add(k, gradients.k);
  node.add(v, gradients.v);
}

}  // namespace

const OpInfo attn_append_info{
    "attn_append",
    [](const NodeView& node, const StepSizes& sizes) {
      using namespace attn_append_operand;
      const Value& pages = node.value(keys);
      const std::int64_t weights = head_weight_bytes(node, q_norm, sizes.n_rows);
      const std::int64_t appended = 2 * sizes.n_rows * pages.shape[1];
      return Cost{weights + activation_bytes(node, q, sizes) + activation_bytes(node, k, sizes) +
                      activation_bytes(node, v, sizes) + activation_bytes(node, y, sizes) +
                      appended * static_cast<std::int64_t>(size_of(pages.dtype)),
                  // a norm and a rotation
                  sizes.n_rows * (node.shape(q)[1] + pages.shape[1]) * 7, weights};
    },
    record_gradient};

}  // namespace bitaxon
