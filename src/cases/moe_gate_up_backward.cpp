#include "cases/expert_spec.h"

namespace bitaxon::test {
namespace {

void build(OpProblem& p, const ExpertSpec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const auto g_gate = spec.add_slots(p);
  const auto g_up = spec.add_slots(p);
  const auto experts = spec.add_experts(p);
  const auto gate = spec.add_matrices(p, spec.intermediate, spec.d_model);
  const auto up = spec.add_matrices(p, spec.intermediate, spec.d_model);
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {moe_gate_up_backward(h.inputs[g_gate], h.inputs[g_up], h.inputs[experts],
                                 h.weights[gate], h.weights[up])};
  };
}

}  // namespace

std::vector<OpCase> moe_gate_up_backward_cases() {
  return cases_of(expert_specs(), 1e-5, "float32 sums of 2 * top_k * I products, in any order",
                  build);
}

}  // namespace bitaxon::test
