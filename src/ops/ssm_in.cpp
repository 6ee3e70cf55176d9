#include "ops/ssm_in.h"

#include "bitaxon/ops.h"
#include "ops/checks.h"

namespace bitaxon {

SsmInResult ssm_in(const Tensor& x, const SsmInWeights& weights, float eps, const Tensor& tail) {
  const Shape conv = weight_shape("ssm_in", "conv_weight", weights.conv_weight);
  const Shape in_proj = weight_shape("ssm_in", "in_proj", weights.in_proj);
  const std::int64_t d_inner = conv[1];
  const std::int64_t d_conv = conv[2];
  check_weight("ssm_in", "in_proj", weights.in_proj, {1, 2 * d_inner, in_proj[2]});
  check_weight("ssm_in", "conv_weight", weights.conv_weight, {1, d_inner, d_conv});
  if (!weights.in_bias.empty())
    check_weight("ssm_in", "in_bias", weights.in_bias, {1, 1, 2 * d_inner});
  if (!weights.conv_bias.empty())
    check_weight("ssm_in", "conv_bias", weights.conv_bias, {1, 1, d_inner});
  if (!weights.norm.empty()) {
    check_weight("ssm_in", "norm", weights.norm, {1, 1, in_proj[2]});
    check_eps("ssm_in", eps);
  }
  check_state("ssm_in", "tail", tail, DType::f32, {d_conv - 1, d_inner});
  const std::int64_t n_rows = check_rows("ssm_in", "x", x, in_proj[2]);
  const Graph::Argument arguments[] = {{x},
                                       {weights.norm},
                                       {weights.in_proj},
                                       {weights.in_bias},
                                       {weights.conv_weight},
                                       {weights.conv_bias},
                                       {tail, Access::read_write}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, d_inner}},
                                   {DType::f32, {n_rows, d_inner}}};
  const auto made =
      x.graph().record(static_cast<std::uint16_t>(OpId::ssm_in),
                       SsmInParams{weights.norm.empty() ? 0.0F : eps}, arguments, outputs);
  return {made[0], made[1]};
}

const OpInfo ssm_in_info{
    "ssm_in", [](const NodeView& node, const StepSizes& sizes) {
      using namespace ssm_in_operand;
      const Shape& conv = node.shape(conv_weight);
      const std::int64_t n = sizes.n_rows;
      const std::int64_t weights = weight_bytes(node, in_proj) + weight_bytes(node, norm) +
                                   weight_bytes(node, in_bias) + weight_bytes(node, conv_weight) +
                                   weight_bytes(node, conv_bias);
      return Cost{weights + activation_bytes(node, x, sizes) + activation_bytes(node, u, sizes) +
                      activation_bytes(node, z, sizes) +
                      2 * state_bytes(node, tail) * sizes.n_segments,
                  product_flops(node, in_proj, n) + n * conv[1] * (2 * conv[2] + 4), weights};
    }};

}  // namespace bitaxon
