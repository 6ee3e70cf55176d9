#include "ops/attention.h"

#include <algorithm>

#include "bitaxon/ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                 const AttentionForm& form) {
  check_argument(!keys.empty() && keys.shape().rank() == 2, "attention", "keys",
                 "a state [capacity, Hk * d]",
                 keys.empty() ? "an empty handle" : keys.shape().to_string());
  const std::int64_t capacity = keys.shape()[0];
  const std::int64_t width = keys.shape()[1];
  const DType dtype = keys.dtype() == DType::f16 ? DType::f16 : DType::f32;
  check_state("attention", "keys", keys, dtype, {capacity, width});
  check_state("attention", "values", values, dtype, {capacity, width});
  check_argument(form.n_kv_heads >= 1 && width % form.n_kv_heads == 0, "attention", "n_kv_heads",
                 "a divisor of " + std::to_string(width), std::to_string(form.n_kv_heads));
  check_argument(form.n_heads >= 1 && form.n_heads % form.n_kv_heads == 0, "attention", "n_heads",
                 "a multiple of " + std::to_string(form.n_kv_heads), std::to_string(form.n_heads));
  const std::int64_t q_width = width / form.n_kv_heads * form.n_heads;
  const std::int64_t n_rows = check_rows("attention", "q", q, q_width);
  const std::int64_t most = capacity - n_rows + 1;
  const std::int64_t window = form.window.value_or(most);
  check_argument(window >= 1 && window <= most, "attention", "window", "1.." + std::to_string(most),
                 std::to_string(window));
  const Graph::Argument arguments[] = {{q}, {keys}, {values}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, q_width}}};
  return q.graph().record(static_cast<std::uint16_t>(OpId::attention),
                          AttentionParams{form.n_heads, form.n_kv_heads, window}, arguments,
                          outputs)[0];
}

namespace {

/// The number of keys that the rows of one segment attend to, summed over its n rows. Row i attends
/// to min(position + i + 1, window) keys.
std::int64_t keys_seen(std::int64_t position, std::int64_t n_rows, std::int64_t window) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < n_rows; ++i) total += std::min(position + i + 1, window);
  return total;
}

}  // namespace

const OpInfo attention_info{
    "attention", [](const NodeView& node, const StepSizes& sizes) {
      using namespace attention_operand;
      const Value& ring = node.value(keys);
      const std::int64_t window = node.params<AttentionParams>().window;
      const std::int64_t rows = sizes.n_rows / sizes.n_segments;
      // A key that several rows of a segment attend to is read once.
      const std::int64_t distinct =
          std::min(sizes.position + rows, window + rows - 1) * sizes.n_segments;
      const std::int64_t read =
          2 * distinct * ring.shape[1] * static_cast<std::int64_t>(size_of(ring.dtype));
      return Cost{read + activation_bytes(node, q, sizes) + activation_bytes(node, y, sizes),
                  4 * keys_seen(sizes.position, rows, window) * sizes.n_segments * node.shape(q)[1],
                  read};
    }};

}  // namespace bitaxon
