#include "ops/attention.h"

#include <algorithm>

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

std::int64_t check_attention(std::string_view op, const Tensor& q, const Tensor& keys,
                             const Tensor& values, const AttentionForm& form) {
  const std::int64_t width = check_pages(op, "keys", keys);
  const std::int64_t value_width = check_pages(op, "values", values);
  check_argument(
      value_width == width && keys.dtype() == values.dtype() && in_one_group(keys, values), op,
      "values", "pages like those of the keys", values.shape().to_string());
  check_argument(form.n_kv_heads >= 1 && width % form.n_kv_heads == 0, op, "n_kv_heads",
                 "a divisor of " + std::to_string(width), std::to_string(form.n_kv_heads));
  check_argument(form.n_heads >= 1 && form.n_heads % form.n_kv_heads == 0, op, "n_heads",
                 "a multiple of " + std::to_string(form.n_kv_heads), std::to_string(form.n_heads));
  const std::int64_t window = form.window.value_or(0);
  check_argument(!form.window || window >= 1, op, "window", "a number >= 1",
                 std::to_string(window));
  return check_rows(op, "q", q, width / form.n_kv_heads * form.n_heads);
}

AttentionParams attention_params(const AttentionForm& form) {
  return {form.n_heads, form.n_kv_heads, form.window.value_or(0)};
}

std::int64_t keys_seen(const AttentionParams& params, std::int64_t position, std::int64_t n_rows) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < n_rows; ++i) total += params.most_keys(position + i + 1);
  return total;
}

Tensor attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                 const AttentionForm& form) {
  check_attention("attention", q, keys, values, form);
  const Graph::Argument arguments[] = {{q}, {keys}, {values}};
  const Graph::Output outputs[] = {{DType::f32, q.shape()}};
  return q.graph().record(static_cast<std::uint16_t>(OpId::attention), attention_params(form),
                          arguments, outputs)[0];
}

namespace {

void record_gradient(const NodeGradient& node) {
  using namespace attention_operand;
  const auto params = node.params<AttentionParams>();
  AttentionForm form{.n_heads = params.n_heads, .n_kv_heads = params.n_kv_heads};
  if (params.window != 0) form.window = params.window;
  node.add(q, attention_backward(node.operand(q), node.operand(keys), node.operand(values), form,
                                 node.operand(y), node.of_output(y), node.of_state(keys),
                                 node.of_state(values)));
}

}  // namespace

const OpInfo attention_info{
    "attention",
    [](const NodeView& node, const StepSizes& sizes) {
      using namespace attention_operand;
      const Value& pages = node.value(keys);
      const auto params = node.params<AttentionParams>();
      const std::int64_t rows = sizes.n_rows / sizes.n_segments;
      const std::int64_t end = sizes.position + rows;
      // A key that several rows of a segment attend to is read once.
      const std::int64_t distinct = (end - params.first_key(sizes.position)) * sizes.n_segments;
      const std::int64_t read =
          2 * distinct * pages.shape[1] * static_cast<std::int64_t>(size_of(pages.dtype));
      return Cost{read + activation_bytes(node, q, sizes) + activation_bytes(node, y, sizes),
                  4 * keys_seen(params, sizes.position, rows) * sizes.n_segments * node.shape(q)[1],
                  read};
    },
    record_gradient};

}  // namespace bitaxon
