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

ResultErrors errors_of(const OpProblem& p, std::size_t b, std::size_t gates, std::size_t g_y,
                       std::int64_t column) {
  std::vector<double> of_b;
  std::vector<double> of_gates;
  for (std::int64_t r = 0; r < p.valid_rows(RowSpace::rows); ++r) {
    const auto added = input_row(p, b, r);
    const auto gradient = input_row(p, g_y, r);
    const auto row = input_row(p, gates, r);
    Sum sum;
    for (std::size_t c = 0; c < added.size(); ++c) {
      const Rounded g{gradient[c]};
      of_b.push_back(allowed_of(Rounded{row[static_cast<std::size_t>(column)]} * g));
      sum.add(g * Rounded{added[c]});
    }
    for (std::int64_t c = 0; c < std::ssize(row); ++c)
      of_gates.push_back(c == column ? allowed_of(sum.result()) : 0);
  }
  return {of_b, of_gates};
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "products and a float32 sum, in any order"},
          [spec](OpProblem& p) {
            p.set_step(spec.segments);
            const auto b = p.add_input(spec.cols, 1);
            const auto gates = p.add_input(spec.n_gates, 0.5);
            const auto g_y = p.add_input(spec.cols, 1);
            p.errors = [=](const OpProblem& problem) {
              return errors_of(problem, b, gates, g_y, spec.column);
            };
            p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
              const auto made =
                  add_gated_backward(h.inputs[b], h.inputs[gates], spec.column, h.inputs[g_y]);
              return {made.b, made.gates};
            };
          }};
}

}  // namespace

std::vector<OpCase> add_gated_backward_cases() {
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
