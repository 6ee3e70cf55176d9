#include "ops/ssm_conv.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

SsmConvResult ssm_conv(const Tensor& vz, const Tensor& conv_weight, const Tensor& conv_bias,
                       const Tensor& tail) {
  const Shape conv = weight_shape("ssm_conv", "conv_weight", conv_weight);
  const std::int64_t d_inner = conv[1];
  check_weight("ssm_conv", "conv_weight", conv_weight, {1, d_inner, conv[2]});
  if (!conv_bias.empty()) check_weight("ssm_conv", "conv_bias", conv_bias, {1, 1, d_inner});
  check_state("ssm_conv", "tail", tail, DType::f32, {conv[2] - 1, d_inner});
  const std::int64_t n_rows = check_rows("ssm_conv", "vz", vz, 2 * d_inner);
  const Graph::Argument arguments[] = {
      {vz}, {conv_weight}, {conv_bias}, {tail, Access::read_write}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, d_inner}},
                                   {DType::f32, {n_rows, d_inner}}};
  const auto made = vz.graph().record(static_cast<std::uint16_t>(OpId::ssm_conv), SsmConvParams{},
                                      arguments, outputs);
  return {made[0], made[1]};
}

const OpInfo ssm_conv_info{
    "ssm_conv",
    [](const NodeView& node, const StepSizes& sizes) {
      using namespace ssm_conv_operand;
      const Shape& conv = node.shape(conv_weight);
      const std::int64_t weights = weight_bytes(node, conv_weight) + weight_bytes(node, conv_bias);
      return Cost{weights + activation_bytes(node, vz, sizes) + activation_bytes(node, u, sizes) +
                      activation_bytes(node, z, sizes) +
                      2 * state_bytes(node, tail) * sizes.n_segments,
                  sizes.n_rows * conv[1] * (2 * conv[2] + 4), weights};
    },
    [](const NodeGradient& node) {
      using namespace ssm_conv_operand;
      node.add(vz, ssm_conv_backward(node.operand(vz), node.operand(conv_weight),
                                     node.operand(conv_bias), node.operand(tail), node.of_output(u),
                                     node.of_output(z), node.of_state(tail)));
    }};

}  // namespace bitaxon
