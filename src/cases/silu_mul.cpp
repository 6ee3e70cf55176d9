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

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  std::size_t n = p.step.n_rows;
  for (const std::int64_t dim : spec.row) n *= static_cast<std::size_t>(dim);
  std::vector<float> gates(n);
  std::vector<float> ups(n);
  for (std::size_t i = 0; i < n; ++i) {
    gates[i] =
        spec.gates.empty() ? p.random().centred(spec.spread) : spec.gates[i % spec.gates.size()];
    ups[i] = p.random().centred(1);
  }
  const auto gate = p.add_input<float>(spec.row, gates);
  const auto up = p.add_input<float>(spec.row, ups);
  p.errors = [=](const OpProblem& problem) {
    std::vector<double> allowed;
    const auto g = elements_of(problem, gate);
    const auto u = elements_of(problem, up);
    for (std::size_t i = 0; i < g.size(); ++i) allowed.push_back(allowed_of(silu_of(g[i]) * u[i]));
    return ResultErrors{allowed};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {silu_mul(h.inputs[gate], h.inputs[up])};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "an exponential and a few products in float32"},
          [spec](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> silu_mul_cases() {
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
