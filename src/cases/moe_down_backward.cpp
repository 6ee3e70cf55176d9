#include "cases/expert_spec.h"

namespace bitaxon::test {
namespace {

void build(OpProblem& p, const ExpertSpec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const auto act = spec.add_slots(p);
  const auto experts = spec.add_experts(p);
  const auto gates = p.add_input(spec.top_k + 1, 0.5);
  const auto g_y = p.add_input(spec.d_model, 1);
  const auto down = spec.add_matrices(p, spec.d_model, spec.intermediate);
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const MoeDownGradients g = moe_down_backward(h.inputs[act], h.inputs[experts], h.inputs[gates],
                                                 h.weights[down], h.inputs[g_y]);
    return {g.act, g.gates};
  };
}

}  // namespace

std::vector<OpCase> moe_down_backward_cases() {
  return cases_of(expert_specs(), 1e-5,
                  "float32 sums of D products, and their sum over I, in any order", build);
}

}  // namespace bitaxon::test
