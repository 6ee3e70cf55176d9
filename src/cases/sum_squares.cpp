#include <cmath>
#include <limits>

#include "bitaxon/training_ops.h"
#include "cases/op_case.h"

namespace bitaxon::test {
namespace {

struct Spec {
  std::int64_t n = 1000;
  double spread = 1;
  bool has_nan = false;
};

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {3e-7, "a sum with more precision than float32, rounded once", spec.has_nan},
          [spec](OpProblem& p) {
            p.set_step(one_segment(5, 3));
            std::vector<float> values;
            for (std::int64_t i = 0; i < spec.n; ++i)
              values.push_back(p.random().centred(spec.spread));
            if (spec.has_nan) values[7] = std::numeric_limits<float>::quiet_NaN();
            const auto vector = p.add_shared({1, spec.n}, values);
            const auto result =
                p.add_shared({1, 1}, std::vector{std::numeric_limits<float>::quiet_NaN()});
            p.may_write({.state = result, .first = 0, .count = 1});
            p.errors = [](const OpProblem&) { return ResultErrors{{0}}; };
            p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
              sum_squares(h.states[vector], h.states[result]);
              return {};
            };
          }};
}

}  // namespace

std::vector<OpCase> sum_squares_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("vector", kEveryMode, {}));
  cases.push_back(make("one_element", kEdge, {.n = 1}));
  cases.push_back(make("odd_size", kEdge, {.n = 70001}));
  cases.push_back(make("zeros", kEdge, {.spread = 0}));
  cases.push_back(make("tiny_values", kEdge, {.spread = 1e-12}));
  cases.push_back(make("large_values", kEdge, {.spread = 1e15}));
  cases.push_back(make("nan", kEdge, {.has_nan = true}));
  cases.push_back(make("model", kModel | kBench, {.n = 7544832}));
  return cases;
}

}  // namespace bitaxon::test
