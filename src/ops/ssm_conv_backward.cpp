#include "ops/ssm_conv_backward.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor ssm_conv_backward(const Tensor& vz, const Tensor& conv_weight, const Tensor& conv_bias,
                         const Tensor& tail, const Tensor& g_u, const Tensor& g_z,
                         const Tensor& carry) {
  constexpr std::string_view kOp = "ssm_conv_backward";
  const Shape conv = weight_shape(kOp, "conv_weight", conv_weight);
  const std::int64_t d_inner = conv[1];
  check_weight(kOp, "conv_weight", conv_weight, {1, d_inner, conv[2]});
  if (!conv_bias.empty()) check_weight(kOp, "conv_bias", conv_bias, {1, 1, d_inner});
  check_state(kOp, "tail", tail, DType::f32, {conv[2] - 1, d_inner});
  const std::int64_t n_rows = check_rows(kOp, "vz", vz, 2 * d_inner);
  check_activation(kOp, "g_u", g_u, DType::f32, {n_rows, d_inner});
  check_activation(kOp, "g_z", g_z, DType::f32, {n_rows, d_inner});
  check_state(kOp, "carry", carry, DType::f32, {conv[2] - 1, d_inner});
  const Graph::Argument arguments[] = {
      {vz}, {conv_weight}, {conv_bias}, {tail}, {g_u}, {g_z}, {carry, Access::read_write}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, 2 * d_inner}}};
  return vz.graph().record(static_cast<std::uint16_t>(OpId::ssm_conv_backward),
                           SsmConvBackwardParams{}, arguments, outputs)[0];
}

const OpInfo ssm_conv_backward_info{
    "ssm_conv_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace ssm_conv_backward_operand;
      const Shape& conv = node.shape(conv_weight);
      const std::int64_t weights = weight_bytes(node, conv_weight) + weight_bytes(node, conv_bias);
      return Cost{weights + activation_bytes(node, vz, sizes) + activation_bytes(node, g_u, sizes) +
                      activation_bytes(node, g_z, sizes) + activation_bytes(node, g_vz, sizes) +
                      (state_bytes(node, tail) + 2 * state_bytes(node, carry)) * sizes.n_segments,
                  sizes.n_rows * conv[1] * (4 * conv[2] + 12), weights};
    }};

}  // namespace bitaxon
