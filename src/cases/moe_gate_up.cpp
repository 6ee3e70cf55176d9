#include "cases/expert_spec.h"

namespace bitaxon::test {
namespace {

/// The errors of the products of each row with its experts.
std::vector<double> errors_of(const OpProblem& p, const ExpertSpec& spec, std::size_t x,
                              std::size_t experts, std::size_t matrices) {
  const auto* chosen = reinterpret_cast<const std::int32_t*>(p.inputs()[experts].bytes.data());
  WeightRows weight(p.weights()[matrices]);
  std::vector<double> allowed;
  for (std::int64_t r = 0; r < p.valid_rows(RowSpace::rows); ++r) {
    const NormedRow row = normed(input_row(p, x, r), {}, 0);
    for (std::int64_t s = 0; s < spec.top_k; ++s)
      for (std::int64_t o = 0; o < spec.intermediate; ++o)
        allowed.push_back(allowed_of(
            product(weight.row(chosen[r * spec.top_k + s] * spec.intermediate + o), row.x)));
  }
  return allowed;
}

void build(OpProblem& p, const ExpertSpec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const auto x = p.add_input(spec.d_model, 1);
  const auto experts = spec.add_experts(p);
  const auto gate = spec.add_matrices(p, spec.intermediate, spec.d_model);
  const auto up = spec.add_matrices(p, spec.intermediate, spec.d_model);
  p.errors = [=](const OpProblem& problem) -> ResultErrors {
    return {errors_of(problem, spec, x, experts, gate), errors_of(problem, spec, x, experts, up)};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const MoeGateUpResult made =
        moe_gate_up(h.inputs[x], h.inputs[experts], h.weights[gate], h.weights[up]);
    return {made.gate, made.up};
  };
}

}  // namespace

std::vector<OpCase> moe_gate_up_cases() {
  return cases_of(expert_specs(), 0, "float32 sums of D products, in any order", build);
}

}  // namespace bitaxon::test
