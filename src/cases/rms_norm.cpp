#include <cmath>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  std::int64_t cols = 70;
  std::int64_t more_cols = 0;  ///< columns of x that have no norm
  std::vector<CaseSegment> segments = one_segment(5, 3);
  double spread = 1;
  float eps = 1e-6F;
  RowSpace space = RowSpace::rows;
};

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  const auto x = p.add_input(spec.cols + spec.more_cols, spec.spread, spec.space);
  const auto norm = p.add_weight(spec.format, {1, 1, spec.cols}, 0.3, 1);
  p.errors = [=](const OpProblem& problem) {
    std::vector<double> allowed;
    for (const NormedRow& row : normed_rows(problem, x, norm, static_cast<double>(spec.eps),
                                            static_cast<std::size_t>(spec.cols)))
      for (const Rounded& value : row.x) allowed.push_back(allowed_of(value * *row.scale));
    return ResultErrors{allowed};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {rms_norm(h.inputs[x], h.weights[norm], spec.eps)};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {
      std::move(label), tags, {0, "a float32 sum of squares, in any order"}, [spec](OpProblem& p) {
        build(p, spec);
      }};
}

}  // namespace

std::vector<OpCase> rms_norm_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("rows", kEveryMode, {.cols = 128}));
  cases.push_back(make("f16", kPlain, {.format = Format::f16}));
  cases.push_back(make("one_element", kEdge, {.cols = 1, .segments = one_segment(1, 0)}));
  cases.push_back(make("odd_sizes", kEdge, {.cols = 37, .segments = three_segments()}));
  cases.push_back(
      make("outputs", kEdge, {.segments = mixed_segments(), .space = RowSpace::outputs}));
  cases.push_back(
      make("wide_x", kEdge, {.cols = 37, .more_cols = 5, .segments = three_segments()}));
  cases.push_back(make("zero_rows", kEdge, {.spread = 0}));
  cases.push_back(make("eps_dominates", kEdge, {.spread = 1e-3, .eps = 10}));
  cases.push_back(make("model", kModel | kBench, {.cols = 2560, .segments = one_segment(64, 0)}));
  return cases;
}

}  // namespace bitaxon::test
