#include <cmath>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  std::vector<std::int64_t> row = {70};
  std::vector<CaseSegment> segments = one_segment(5, 3);
  double spread = 2;
  std::vector<float> gates = {};  ///< the gates of all rows, in turn; random if empty
};

/// silu'(a) = s * (1 + a * (1 - s))
Rounded slope_of(const Rounded& a) {
  const Rounded rest = sigmoid_of(a * Rounded{-1});
  return sigmoid_of(a) * (Rounded{1} + a * rest);
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  std::size_t n = p.step.n_rows;
  for (const std::int64_t dim : spec.row) n *= static_cast<std::size_t>(dim);
  std::vector<float> values[3];
  for (std::vector<float>& list : values)
    for (std::size_t i = 0; i < n; ++i) list.push_back(p.random().centred(1));
  for (std::size_t i = 0; i < n; ++i)
    values[0][i] = spec.gates.empty() ? values[0][i] * static_cast<float>(spec.spread)
                                      : spec.gates[i % spec.gates.size()];
  const auto gate = p.add_input<float>(spec.row, values[0]);
  const auto up = p.add_input<float>(spec.row, values[1]);
  const auto g_y = p.add_input<float>(spec.row, values[2]);
  p.errors = [=](const OpProblem& problem) {
    std::vector<double> of_gate;
    std::vector<double> of_up;
    const auto a = elements_of(problem, gate);
    const auto u = elements_of(problem, up);
    const auto g = elements_of(problem, g_y);
    for (std::size_t i = 0; i < a.size(); ++i) {
      of_gate.push_back(allowed_of(g[i] * u[i] * slope_of(a[i])));
      of_up.push_back(allowed_of(g[i] * silu_of(a[i])));
    }
    return ResultErrors{of_gate, of_up};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const auto made = silu_mul_backward(h.inputs[gate], h.inputs[up], h.inputs[g_y]);
    return {made.gate, made.up};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "an exponential and a few products in float32"},
          [spec](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> silu_mul_backward_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("rows", kEveryMode, {.row = {128}}));
  cases.push_back(make("one_element", kEdge, {.row = {1}, .segments = one_segment(1, 0)}));
  cases.push_back(make("experts", kEdge, {.row = {2, 37}, .segments = three_segments()}));
  cases.push_back(
      make("large_gates", kEdge, {.row = {8}, .gates = {40, -40, 100, -100, 0, 1e4F, -1e4F}}));
  cases.push_back(make("model", kModel | kBench, {.row = {4096}, .segments = one_segment(64, 0)}));
  return cases;
}

}  // namespace bitaxon::test
