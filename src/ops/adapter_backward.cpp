#include "ops/adapter_backward.h"

#include <vector>

#include "ops/checks.h"

namespace bitaxon {

AdapterGradients adapter_backward(const Tensor& x, const Tensor& base, const Tensor& parameters,
                                  const Tensor& norms, const AdapterPlace& place, const Tensor& g_y,
                                  const Tensor& gradients) {
  const std::int64_t n_rows = check_wide_rows("adapter_backward", "x", x, 1);
  check_wide_rows("adapter_backward", "g_y", g_y, 1);
  const std::int64_t n_out = g_y.shape()[1];
  check_activation("adapter_backward", "g_y", g_y, DType::f32, {n_rows, n_out});
  check_argument(g_y.row_space() == x.row_space(), "adapter_backward", "g_y",
                 "the same kind of rows as x (tokens or outputs)", "the other kind");
  check_place("adapter_backward", place, parameters, norms, x.shape()[1], n_out);
  check_state("adapter_backward", "gradients", gradients, DType::f32, parameters.shape());
  const bool is_dora = place.is_dora != 0;
  if (is_dora)
    check_alike("adapter_backward", "base", base, g_y);
  else
    check_argument(base.empty(), "adapter_backward", "base", "none for LoRA", "a tensor");
  const Graph::Argument arguments[] = {{x},          {base},
                                       {parameters}, {is_dora ? norms : Tensor()},
                                       {g_y},        {gradients, Access::read_write}};
  std::vector<Graph::Output> outputs = {{DType::f32, x.shape(), x.row_space()}};
  if (is_dora) outputs.push_back({DType::f32, g_y.shape(), g_y.row_space()});
  const auto made = x.graph().record(static_cast<std::uint16_t>(OpId::adapter_backward), place,
                                     arguments, outputs);
  return {is_dora ? made[1] : g_y, made[0]};
}

const OpInfo adapter_backward_info{
    "adapter_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace adapter_backward_operand;
      const auto place = node.params<AdapterPlace>();
      const std::int64_t rank = place.rank;
      const std::int64_t n_in = node.shape(x)[1];
      const std::int64_t n_out = node.shape(g_y)[1];
      const std::int64_t n = valid_rows(node.value(x), sizes);
      return Cost{12 * rank * (n_in + n_out) + 2 * activation_bytes(node, x, sizes) +
                      (place.is_dora != 0 ? 3 : 1) * activation_bytes(node, g_y, sizes),
                  (place.is_dora != 0 ? 6 : 4) * n * rank * (n_in + n_out)};
    }};

}  // namespace bitaxon
