#include <cmath>
#include <limits>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"

namespace bitaxon::test {
namespace {

struct Spec {
  std::int64_t vocab_size = 70;
  std::vector<CaseSegment> segments = mixed_segments();
  std::vector<std::uint32_t> output_rows = {};  ///< rows of the store; those of the step if empty
  std::int64_t capacity = 40;
  double spread = 3;
  /// How far the logit of the label is above the largest other logit; absent for random labels.
  std::optional<double> gap = {};
  bool has_nan = false;
};

ResultErrors errors_of(const OpProblem& p, std::size_t logits, std::span<const float> factors) {
  std::vector<double> of_logits;
  ResultErrors errors(1);
  for (std::size_t o = 0; o < p.step.n_outputs; ++o) {
    const auto row = input_row(p, logits, static_cast<std::int64_t>(o));
    const auto label = static_cast<std::size_t>(p.step.ids[o]);
    const float largest = *std::max_element(row.begin(), row.end());
    const Rounded factor{factors[p.step.output_rows[o]]};
    std::vector<Rounded> exps;
    Sum sum;
    for (std::size_t v = 0; v < row.size(); ++v) {
      exps.push_back(exp_of(Rounded{row[v]} + Rounded{-largest}));
      if (v != label) sum.add(exps[v]);
    }
    const Rounded others = sum.result();
    const Rounded total = others + exps[label];
    for (std::size_t v = 0; v < row.size(); ++v)
      of_logits.push_back(allowed_of(factor * (v == label ? others : exps[v]) / total));
    const auto log1p = [](double x) { return std::log1p(std::max(x, -0.5)); };
    const Rounded log_prob =
        row[label] == largest
            ? function(log1p, others, 6 * kUlp)
            : Rounded{row[label]} + Rounded{-largest} +
                  function([](double x) { return std::log(x); }, total, 6 * kUlp) * Rounded{-1};
    errors.push_back({allowed_of(log_prob)});
  }
  errors[0] = of_logits;
  return errors;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  p.ids_of_outputs = true;
  for (std::size_t o = 0; o < spec.output_rows.size(); ++o)
    p.step.output_rows[o] = spec.output_rows[o];
  std::vector<float> values;
  std::vector<float> factors(static_cast<std::size_t>(spec.capacity),
                             std::numeric_limits<float>::quiet_NaN());
  for (std::size_t o = 0; o < p.step.n_outputs; ++o) {
    const std::int64_t label = p.random().below(spec.vocab_size);
    p.step.ids[o] = static_cast<std::int32_t>(label);
    const std::size_t first = values.size();
    for (std::int64_t v = 0; v < spec.vocab_size; ++v)
      values.push_back(p.random().centred(spec.spread));
    float largest = -std::numeric_limits<float>::infinity();
    for (std::size_t v = first; v < values.size(); ++v)
      if (v != first + static_cast<std::size_t>(label)) largest = std::max(largest, values[v]);
    if (spec.gap && spec.vocab_size > 1)
      values[first + static_cast<std::size_t>(label)] = largest + static_cast<float>(*spec.gap);
    factors[p.step.output_rows[o]] = static_cast<float>(p.random().uniform(-1, 1));
  }
  if (spec.has_nan) values[3] = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t r = p.step.n_outputs; r < p.step.ids.size(); ++r) p.step.ids[r] = -1;
  const std::int64_t shape[] = {spec.vocab_size};
  const auto logits = p.add_input<float>(shape, values, RowSpace::outputs);
  const auto of_rows = p.add_store({1, spec.capacity}, spec.capacity);
  std::copy(factors.begin(), factors.end(), p.shared_values(of_rows).begin());
  const auto log_probs = p.add_store({1, spec.capacity}, spec.capacity);
  p.may_write({.state = log_probs, .rows = RowSpace::outputs});
  if (!spec.has_nan)
    p.errors = [=](const OpProblem& problem) { return errors_of(problem, logits, factors); };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {cross_entropy(h.inputs[logits], h.states[of_rows], h.states[log_probs])};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {spec.has_nan ? 1e-5 : 0, "exponentials and a float32 sum, in any order", spec.has_nan},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> cross_entropy_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("outputs", kEveryMode, {}));
  cases.push_back(make("one_token", kEdge, {.vocab_size = 1, .segments = one_segment(1, 0)}));
  cases.push_back(make("odd_sizes", kEdge, {.vocab_size = 1031, .segments = three_segments()}));
  // The log-probability is close to 0, but has its full relative precision.
  for (const int gap : {1, 15, 30, 70})
    cases.push_back(make("gap_" + std::to_string(gap), kEdge, {.gap = gap}));
  cases.push_back(make("unlikely_label", kEdge, {.gap = -60}));
  cases.push_back(make("ties", kEdge, {.gap = 0}));
  cases.push_back(make("equal_logits", kEdge, {.spread = 0}));
  cases.push_back(make("large_logits", kEdge, {.spread = 1e4}));
  cases.push_back(make("nan", kEdge, {.has_nan = true}));
  cases.push_back(
      make("rows_of_a_store", kEdge, {.output_rows = {699, 0, 650, 13, 12, 512}, .capacity = 700}));
  cases.push_back(make("model", kModel | kBench,
                       {.vocab_size = 32000, .segments = {{.n_rows = 16, .n_outputs = 16}}}));
  return cases;
}

}  // namespace bitaxon::test
