#include "ops/attention_backward.h"

#include <utility>

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor attention_backward(const Tensor& q, const Tensor& keys, const Tensor& values,
                          const AttentionForm& form, const Tensor& y, const Tensor& g_y,
                          const Tensor& g_keys, const Tensor& g_values) {
  constexpr std::string_view kOp = "attention_backward";
  const std::int64_t n_rows = check_attention(kOp, q, keys, values, form);
  check_activation(kOp, "y", y, DType::f32, {n_rows, q.shape()[1]});
  check_activation(kOp, "g_y", g_y, DType::f32, {n_rows, q.shape()[1]});
  for (const auto& [name, pages] : {std::pair("g_keys", g_keys), std::pair("g_values", g_values)})
    check_argument(check_pages(kOp, name, pages) == keys.shape()[1] &&
                       pages.dtype() == DType::f32 && in_one_group(pages, keys),
                   kOp, name, "F32 pages like those of the keys", pages.shape().to_string());
  const Graph::Argument arguments[] = {{q},
                                       {keys},
                                       {values},
                                       {y},
                                       {g_y},
                                       {g_keys, Access::read_write},
                                       {g_values, Access::read_write}};
  const Graph::Output outputs[] = {{DType::f32, q.shape()}};
  return q.graph().record(static_cast<std::uint16_t>(OpId::attention_backward),
                          attention_params(form), arguments, outputs)[0];
}

const OpInfo attention_backward_info{
    "attention_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace attention_backward_operand;
      const auto params = node.params<AttentionParams>();
      const std::int64_t rows = sizes.n_rows / sizes.n_segments;
      const std::int64_t distinct =
          (sizes.position + rows - params.first_key(sizes.position)) * sizes.n_segments;
      const std::int64_t width = node.shape(keys)[1];
      const std::int64_t read =
          2 * distinct * width * static_cast<std::int64_t>(size_of(node.value(keys).dtype));
      std::int64_t bytes = read + 2 * 2 * distinct * width * 4;
      for (const int operand : {q, y, g_y, g_q}) bytes += activation_bytes(node, operand, sizes);
      // The scores and the products with V, K, Q and g_y.
      return Cost{
          bytes, 10 * keys_seen(params, sizes.position, rows) * sizes.n_segments * node.shape(q)[1],
          read};
    }};

}  // namespace bitaxon
