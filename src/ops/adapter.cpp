#include "ops/adapter.h"

#include <fmt/format.h>

#include <cmath>

#include "ops/checks.h"

namespace bitaxon {

void check_place(std::string_view op, const AdapterPlace& place, const Tensor& parameters,
                 const Tensor& norms, std::int64_t n_in, std::int64_t n_out) {
  const std::int64_t n = check_vector(op, "parameters", parameters);
  const std::int64_t rank = place.rank;
  check_argument(rank >= 1, op, "rank", "a number > 0", std::to_string(rank));
  check_argument(std::isfinite(place.scale), op, "scale", "a finite number",
                 fmt::format("{}", place.scale));
  const auto check_range = [&](const char* what, std::int64_t first, std::int64_t count,
                               std::int64_t size) {
    check_argument(first + count <= size, op, what,
                   fmt::format("{} elements from {} on, within {}", count, first, size),
                   fmt::format("the end {}", first + count));
  };
  check_range("a", place.a, n_in * rank, n);
  check_range("b", place.b, rank * n_out, n);
  if (place.is_dora == 0) return;
  check_range("m", place.m, n_out, n);
  check_range("norm", place.norm, n_out, check_vector(op, "norms", norms));
}

Tensor adapter(const Tensor& x, const Tensor& base, const Tensor& parameters, const Tensor& norms,
               const AdapterPlace& place, const AdapterOptions& options) {
  const std::int64_t n_rows = check_wide_rows("adapter", "x", x, 1);
  check_wide_rows("adapter", "base", base, 1);
  const std::int64_t n_out = base.shape()[1];
  check_activation("adapter", "base", base, DType::f32, {n_rows, n_out});
  check_argument(base.row_space() == x.row_space(), "adapter", "base",
                 "the same kind of rows as x (tokens or outputs)", "the other kind");
  check_place("adapter", place, parameters, norms, x.shape()[1], n_out);
  if (!options.bias.empty()) check_weight("adapter", "bias", options.bias, {1, 1, n_out});
  if (!options.residual.empty()) check_alike("adapter", "residual", options.residual, base);
  const Graph::Argument arguments[] = {{x},
                                       {base},
                                       {parameters},
                                       {place.is_dora != 0 ? norms : Tensor()},
                                       {options.bias},
                                       {options.residual}};
  const Graph::Output outputs[] = {{DType::f32, base.shape(), base.row_space()}};
  return x.graph().record(static_cast<std::uint16_t>(OpId::adapter), place, arguments, outputs)[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  using namespace adapter_operand;
  const std::int64_t rank = node.params<AdapterPlace>().rank;
  const std::int64_t n_in = node.shape(x)[1];
  const std::int64_t n_out = node.shape(y)[1];
  const std::int64_t n = valid_rows(node.value(x), sizes);
  const std::int64_t bias_bytes = weight_bytes(node, bias);
  return {4 * rank * (n_in + n_out) + bias_bytes + activation_bytes(node, x, sizes) +
              2 * activation_bytes(node, y, sizes) + activation_bytes(node, residual, sizes),
          2 * n * rank * (n_in + n_out), bias_bytes};
}

void gradient(const NodeGradient& node) {
  using namespace adapter_operand;
  const auto place = node.params<AdapterPlace>();
  const Tensor g_y = node.of_output(y);
  const AdapterGradients made = adapter_backward(
      node.operand(x), place.is_dora != 0 ? node.operand(base) : Tensor(), node.operand(parameters),
      node.operand(norms), place, g_y, node.of_state(parameters));
  node.add(base, made.base);
  node.add(x, made.x);
  node.add(residual, g_y);
}

}  // namespace

const OpInfo adapter_info{"adapter", cost, gradient};

}  // namespace bitaxon
