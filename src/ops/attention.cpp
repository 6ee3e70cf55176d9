#include "ops/attention.h"

#include <algorithm>

#include "bitaxon/ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                 const AttentionForm& form) {
  const std::int64_t width = check_pages("attention", "keys", keys);
  const std::int64_t value_width = check_pages("attention", "values", values);
  check_argument(
      value_width == width && keys.dtype() == values.dtype() && in_one_group(keys, values),
      "attention", "values", "pages like those of the keys", values.shape().to_string());
  check_argument(form.n_kv_heads >= 1 && width % form.n_kv_heads == 0, "attention", "n_kv_heads",
                 "a divisor of " + std::to_string(width), std::to_string(form.n_kv_heads));
  check_argument(form.n_heads >= 1 && form.n_heads % form.n_kv_heads == 0, "attention", "n_heads",
                 "a multiple of " + std::to_string(form.n_kv_heads), std::to_string(form.n_heads));
  const std::int64_t q_width = width / form.n_kv_heads * form.n_heads;
  const std::int64_t n_rows = check_rows("attention", "q", q, q_width);
  const std::int64_t window = form.window.value_or(0);
  check_argument(!form.window || window >= 1, "attention", "window", "a number >= 1",
                 std::to_string(window));
  const Graph::Argument arguments[] = {{q}, {keys}, {values}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, q_width}}};
  return q.graph().record(static_cast<std::uint16_t>(OpId::attention),
                          AttentionParams{form.n_heads, form.n_kv_heads, window}, arguments,
                          outputs)[0];
}

namespace {

/// The number of keys that the rows of one segment attend to, summed over its n rows.
std::int64_t keys_seen(const AttentionParams& params, std::int64_t position, std::int64_t n_rows) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < n_rows; ++i) total += params.most_keys(position + i + 1);
  return total;
}

}  // namespace

const OpInfo attention_info{
    "attention", [](const NodeView& node, const StepSizes& sizes) {
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
    }};

}  // namespace bitaxon
