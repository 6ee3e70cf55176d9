#include "bitaxon/training_ops.h"
#include "cases/ssm_conv_spec.h"

namespace bitaxon::test {
namespace {

void build(OpProblem& p, const ConvSpec& spec) {
  const ConvParts parts = add_conv(p, spec);
  const auto g_u = p.add_input(spec.d_inner, 1);
  const auto g_z = p.add_input(spec.d_inner, 1);
  const auto carry = p.add_carry({spec.d_conv - 1, spec.d_inner}, 1);
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {ssm_conv_backward(h.inputs[parts.vz], h.weights[parts.taps],
                              spec.bias ? h.weights[parts.bias] : Tensor(), h.states[parts.tail],
                              h.inputs[g_u], h.inputs[g_z], h.states[carry])};
  };
}

}  // namespace

std::vector<OpCase> ssm_conv_backward_cases() {
  return cases_of(conv_specs(), 4e-6, "float32 sums of K products, and the slope of a SiLU", build);
}

}  // namespace bitaxon::test
