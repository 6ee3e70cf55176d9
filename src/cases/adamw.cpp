#include <cmath>
#include <limits>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  std::int64_t n = 1000;
  double gradient = 1;    ///< the spread of the gradients
  bool is_first = false;  ///< the moments are 0
  float clip = 0.5F;
  float rate = 1e-3F;
  float c1 = 1, c2 = 1;
};

/// The values of the shared tensors.
struct Values {
  std::vector<float> parameters, gradients, first, second, numbers;
};

/// The allowed errors of the parameters and both moments.
ResultErrors errors_of(const Values& v) {
  const auto number = [&](std::size_t i) { return Rounded{v.numbers[i]}; };
  const Rounded minus{-1};
  const Rounded clip = number(0), rate = number(1), decay = number(2), b1 = number(3),
                b2 = number(4), c1 = number(5), c2 = number(6), eps = number(7);
  ResultErrors errors(3);
  for (std::size_t i = 0; i < v.parameters.size(); ++i) {
    const Rounded g = clip * Rounded{v.gradients[i]};
    const Rounded m = b1 * Rounded{v.first[i]} + (Rounded{1} + minus * b1) * g;
    const Rounded s = b2 * Rounded{v.second[i]} + (Rounded{1} + minus * b2) * g * g;
    // Squares below 2^-126 may be flushed to 0.
    const Rounded root =
        function([](double x) { return std::sqrt(std::max(x, 0.0)); }, s / c2, 4.5 * kUlp, 0x1p-63);
    const Rounded step = rate * (m / c1) / (root + eps);
    const Rounded p = Rounded{v.parameters[i]} * (Rounded{1} + minus * decay) + minus * step;
    errors[0].push_back(allowed_of(p));
    errors[1].push_back(allowed_of(m));
    errors[2].push_back(allowed_of(s));
  }
  return errors;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(one_segment(5, 3));
  Values v;
  for (std::int64_t i = 0; i < spec.n; ++i) {
    v.parameters.push_back(p.random().centred(1));
    v.gradients.push_back(i % 7 == 3 ? 0 : p.random().centred(spec.gradient));
    v.first.push_back(spec.is_first ? 0 : p.random().centred(0.1));
    v.second.push_back(spec.is_first ? 0 : static_cast<float>(p.random().uniform(0, 0.01)));
  }
  v.numbers = {spec.clip, spec.rate, spec.rate * 0.01F, 0.9F, 0.999F, spec.c1, spec.c2, 1e-8F};
  const Shape shape{1, spec.n};
  const auto parameters = p.add_shared(shape, v.parameters);
  const auto gradients = p.add_shared(shape, v.gradients);
  const auto first = p.add_shared(shape, v.first);
  const auto second = p.add_shared(shape, v.second);
  const auto numbers = p.add_shared({1, 8}, v.numbers);
  for (const std::size_t state : {parameters, first, second})
    p.may_write({.state = state, .first = 0, .count = spec.n});
  p.errors = [=](const OpProblem&) { return errors_of(v); };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    adamw(h.states[parameters], h.states[gradients], h.states[first], h.states[second],
          h.states[numbers]);
    return {};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label), tags, {0, "a few float32 operations"}, [spec](OpProblem& p) {
            build(p, spec);
          }};
}

}  // namespace

std::vector<OpCase> adamw_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("vector", kEveryMode, {}));
  cases.push_back(make("one_element", kEdge, {.n = 1}));
  cases.push_back(make("odd_size", kEdge, {.n = 70001}));
  cases.push_back(make("first_update", kEdge, {.is_first = true, .rate = 0}));
  cases.push_back(make("bias_correction", kEdge, {.is_first = true, .c1 = 0.1F, .c2 = 0.001F}));
  cases.push_back(make("tiny_gradients", kEdge, {.gradient = 1e-12, .is_first = true}));
  cases.push_back(make("large_gradients", kEdge, {.gradient = 1e3, .clip = 1}));
  cases.push_back(make("model", kModel | kBench, {.n = 2000000}));
  return cases;
}

}  // namespace bitaxon::test
