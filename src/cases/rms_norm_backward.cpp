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

/// The allowed errors of g_x = rho * norm * g_y - x * rho^3 * mean(norm * g_y * x).
ResultErrors errors_of(const OpProblem& p, std::size_t x, std::size_t norm, std::size_t g_y,
                       double eps) {
  const std::vector<float> weight = values_of(p.weights()[norm]);
  std::vector<double> allowed;
  const auto rows = normed_rows(p, x, norm, eps, weight.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto wide = input_row(p, x, static_cast<std::int64_t>(r));
    const auto from = wide.first(weight.size());
    const auto gradient = input_row(p, g_y, static_cast<std::int64_t>(r));
    const Rounded rho = *rows[r].scale;
    std::vector<Rounded> g_n;
    Sum sum;
    for (std::size_t c = 0; c < from.size(); ++c) {
      g_n.push_back(Rounded{weight[c]} * Rounded{gradient[c]});
      sum.add(g_n[c] * Rounded{from[c]});
    }
    const Rounded mean = sum.result() / Rounded{static_cast<double>(from.size())};
    for (std::size_t c = 0; c < from.size(); ++c) {
      const Rounded along = rounded(Rounded{from[c]} * mean * (rho * rho * rho));
      allowed.push_back(allowed_of(g_n[c] * rho + along * Rounded{-1}));
    }
    allowed.resize(allowed.size() + wide.size() - from.size(), 0);
  }
  return {allowed};
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  const auto x = p.add_input(spec.cols + spec.more_cols, spec.spread, spec.space);
  const auto norm = p.add_weight(spec.format, {1, 1, spec.cols}, 0.3, 1);
  const auto g_y = p.add_input(spec.cols, 1, spec.space);
  p.errors = [=](const OpProblem& problem) {
    return errors_of(problem, x, norm, g_y, static_cast<double>(spec.eps));
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {rms_norm_backward(h.inputs[x], h.weights[norm], spec.eps, h.inputs[g_y])};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label), tags, {0, "two float32 sums, in any order"}, [spec](OpProblem& p) {
            build(p, spec);
          }};
}

}  // namespace

std::vector<OpCase> rms_norm_backward_cases() {
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
