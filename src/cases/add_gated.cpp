#include "bitaxon/training_ops.h"
#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  std::int64_t cols = 70;
  std::int64_t n_gates = 3;
  std::int64_t column = 2;
  std::vector<CaseSegment> segments = one_segment(5, 3);
};

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label), tags, {0, "a product and a sum in float32"}, [spec](OpProblem& p) {
            p.set_step(spec.segments);
            const auto x = p.add_input(spec.cols, 1);
            const auto b = p.add_input(spec.cols, 1);
            const auto gates = p.add_input(spec.n_gates, 0.5);
            p.errors = [=](const OpProblem& problem) {
              auto sums = elements_of(problem, x);
              const auto added = elements_of(problem, b);
              const auto cols = static_cast<std::size_t>(spec.cols);
              for (std::size_t i = 0; i < sums.size(); ++i) {
                const auto row = input_row(problem, gates, static_cast<std::int64_t>(i / cols));
                sums[i] = sums[i] + Rounded{row[static_cast<std::size_t>(spec.column)]} * added[i];
              }
              return ResultErrors{allowed_of(sums)};
            };
            p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
              return {add_gated(h.inputs[x], h.inputs[b], h.inputs[gates], spec.column)};
            };
          }};
}

}  // namespace

std::vector<OpCase> add_gated_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("rows", kEveryMode, {.cols = 128}));
  cases.push_back(make("one_element", kEdge,
                       {.cols = 1, .n_gates = 1, .column = 0, .segments = one_segment(1, 0)}));
  cases.push_back(
      make("odd_sizes", kEdge, {.cols = 37, .column = 0, .segments = three_segments()}));
  cases.push_back(make("model", kModel | kBench, {.cols = 2560, .segments = one_segment(64, 0)}));
  return cases;
}

}  // namespace bitaxon::test
