#include <cmath>
#include <limits>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  std::int64_t cols = 70;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  double spread = 1;
  RowSpace space = RowSpace::rows;
};

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label), tags, {0, "one sum in float32"}, [spec](OpProblem& p) {
            p.set_step(spec.segments);
            const auto a = p.add_input(spec.cols, spec.spread, spec.space);
            const auto b = p.add_input(spec.cols, spec.spread, spec.space);
            p.errors = [=](const OpProblem& problem) {
              auto sums = elements_of(problem, a);
              const auto other = elements_of(problem, b);
              for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = sums[i] + other[i];
              return ResultErrors{allowed_of(sums)};
            };
            p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
              return {add(h.inputs[a], h.inputs[b])};
            };
          }};
}

}  // namespace

std::vector<OpCase> add_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("rows", kEveryMode, {.cols = 128}));
  cases.push_back(make("one_element", kEdge, {.cols = 1, .segments = one_segment(1, 0)}));
  cases.push_back(make("odd_sizes", kEdge, {.cols = 37, .segments = three_segments()}));
  cases.push_back(
      make("outputs", kEdge, {.segments = mixed_segments(), .space = RowSpace::outputs}));
  cases.push_back(make("large_values", kEdge, {.spread = 1e37}));
  cases.push_back(make("model", kModel | kBench, {.cols = 2560, .segments = one_segment(64, 0)}));
  return cases;
}

}  // namespace bitaxon::test
