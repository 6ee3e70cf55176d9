#include "cases/adapters.h"

namespace bitaxon::test {
namespace {

struct Spec {
  AdapterSpec adapter = {};
  std::vector<CaseSegment> segments = one_segment(5, 3);
  bool bias = false;
  bool residual = false;
  RowSpace space = RowSpace::rows;
};

/// The indexes of the inputs of a case.
struct Operands {
  std::size_t x = 0, base = 0, bias = 0, residual = 0;
};

ResultErrors errors_of(const OpProblem& p, const Spec& spec, const CaseAdapter& adapter,
                       const Operands& in) {
  const std::vector<float> bias =
      spec.bias ? values_of(p.weights()[in.bias]) : std::vector<float>();
  std::vector<double> allowed;
  for (std::int64_t r = 0; r < p.valid_rows(spec.space); ++r) {
    const auto u = inner_row(adapter, rounded_row(p, in.x, r));
    const auto base = input_row(p, in.base, r);
    for (std::size_t o = 0; o < base.size(); ++o) {
      const auto output = static_cast<std::int64_t>(o);
      Rounded y = adapter.factor(output) * outer(adapter, u, base[o], output);
      if (spec.bias) y = y + Rounded{bias[o]};
      if (spec.residual) y = y + Rounded{input_row(p, in.residual, r)[o]};
      allowed.push_back(allowed_of(y));
    }
  }
  return {allowed};
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  const CaseAdapter made = make_adapter(p.random(), spec.adapter);
  Operands in;
  in.x = p.add_input(spec.adapter.n_in, 1, spec.space);
  in.base = p.add_input(spec.adapter.n_out, 1, spec.space);
  if (spec.bias) in.bias = p.add_weight(Format::f32, {1, 1, spec.adapter.n_out}, 1);
  if (spec.residual) in.residual = p.add_input(spec.adapter.n_out, 1, spec.space);
  const auto parameters = p.add_shared({1, std::ssize(made.parameters)}, made.parameters);
  const auto norms = p.add_shared({1, std::ssize(made.norms)}, made.norms);
  p.errors = [=](const OpProblem& problem) { return errors_of(problem, spec, made, in); };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    AdapterOptions options;
    if (spec.bias) options.bias = h.weights[in.bias];
    if (spec.residual) options.residual = h.inputs[in.residual];
    return {adapter(h.inputs[in.x], h.inputs[in.base], h.states[parameters],
                    spec.adapter.dora ? h.states[norms] : Tensor(), made.place, options)};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "two float32 products, in any order"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> adapter_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("dora", kEveryMode, {.bias = true, .residual = true}));
  cases.push_back(make("lora", kEveryMode, {.adapter = {.dora = false}, .residual = true}));
  cases.push_back(
      make("one_element", kEdge,
           {.adapter = {.n_in = 1, .n_out = 1, .rank = 1}, .segments = one_segment(1, 0)}));
  cases.push_back(
      make("odd_sizes", kEdge,
           {.adapter = {.n_in = 37, .n_out = 131, .rank = 3}, .segments = three_segments()}));
  cases.push_back(make("large_rank", kEdge,
                       {.adapter = {.n_in = 70, .n_out = 33, .rank = 77, .scale = 0.5F},
                        .segments = one_segment(33, 0)}));
  cases.push_back(make("zero_norms", kEdge, {.adapter = {.has_zeros = true}, .bias = true}));
  cases.push_back(
      make("outputs", kEdge, {.segments = mixed_segments(), .space = RowSpace::outputs}));
  cases.push_back(make("model", kModel | kBench,
                       {.adapter = {.n_in = 2560, .n_out = 4096, .rank = 8},
                        .segments = one_segment(64, 0),
                        .residual = true}));
  return cases;
}

}  // namespace bitaxon::test
