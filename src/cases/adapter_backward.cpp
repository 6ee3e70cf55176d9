#include "cases/adapters.h"

namespace bitaxon::test {
namespace {

struct Spec {
  AdapterSpec adapter = {};
  std::vector<CaseSegment> segments = one_segment(5, 3);
  RowSpace space = RowSpace::rows;
};

/// The indexes of the operands of a case.
struct Operands {
  std::size_t x = 0, base = 0, g_y = 0, gradients = 0;
};

/// Sums of many elements, which begin with the old gradients.
class Gradients {
 public:
  Gradients(std::span<const float> old, std::uint32_t first, std::int64_t n)
      : old_(old.subspan(first, static_cast<std::size_t>(n))), sums_(old_.size()) {}
  Sum& operator[](std::int64_t i) { return sums_[static_cast<std::size_t>(i)]; }
  std::vector<double> allowed() const {
    std::vector<double> errors;
    for (std::size_t i = 0; i < sums_.size(); ++i)
      errors.push_back(allowed_of(sums_[i].result() + Rounded{old_[i]}));
    return errors;
  }

 private:
  std::span<const float> old_;
  std::vector<Sum> sums_;
};

ResultErrors errors_of(const OpProblem& p, const CaseAdapter& adapter, const Operands& in,
                       std::span<const float> old, RowSpace space) {
  const AdapterSpec& spec = adapter.spec;
  const Rounded scale{spec.scale};
  Gradients g_a(old, adapter.place.a, spec.n_in * spec.rank);
  Gradients g_b(old, adapter.place.b, spec.rank * spec.n_out);
  Gradients g_m(old, spec.dora ? adapter.place.m : 0, spec.dora ? spec.n_out : 0);
  std::vector<double> of_base;
  std::vector<double> of_x;
  for (std::int64_t r = 0; r < p.valid_rows(space); ++r) {
    const auto x = rounded_row(p, in.x, r);
    const auto u = inner_row(adapter, x);
    const auto g_y = input_row(p, in.g_y, r);
    std::vector<Sum> inner(u.size());
    for (std::int64_t o = 0; o < spec.n_out; ++o) {
      const Rounded g{g_y[static_cast<std::size_t>(o)]};
      const Rounded g_o = spec.dora ? adapter.factor(o) * g : g;
      if (spec.dora) {
        const float base = input_row(p, in.base, r)[static_cast<std::size_t>(o)];
        if (adapter.n(o) != 0) g_m[o].add(g * outer(adapter, u, base, o) / Rounded{adapter.n(o)});
        of_base.push_back(allowed_of(g_o));
      }
      for (std::size_t k = 0; k < u.size(); ++k) {
        const auto at = static_cast<std::int64_t>(k);
        g_b[at * spec.n_out + o].add(scale * u[k] * g_o);
        inner[k].add(g_o * Rounded{adapter.b(at, o)});
      }
    }
    std::vector<Rounded> t;
    for (const Sum& sum : inner) t.push_back(scale * sum.result());
    for (std::int64_t i = 0; i < spec.n_in; ++i) {
      Sum sum;
      for (std::size_t k = 0; k < t.size(); ++k) {
        const auto at = static_cast<std::int64_t>(k);
        g_a[i * spec.rank + at].add(x[static_cast<std::size_t>(i)] * t[k]);
        sum.add(t[k] * Rounded{adapter.a(i, at)});
      }
      of_x.push_back(allowed_of(sum.result()));
    }
  }
  ResultErrors errors;
  if (spec.dora) errors.push_back(of_base);
  errors.push_back(of_x);
  errors.push_back(g_a.allowed());
  errors.push_back(g_b.allowed());
  if (spec.dora) errors.push_back(g_m.allowed());
  return errors;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments);
  const AdapterSpec& form = spec.adapter;
  const CaseAdapter made = make_adapter(p.random(), form);
  const AdapterPlace& place = made.place;
  Operands in;
  in.x = p.add_input(form.n_in, 1, spec.space);
  in.base = form.dora ? p.add_input(form.n_out, 1, spec.space) : 0;
  in.g_y = p.add_input(form.n_out, 0.1, spec.space);
  const auto parameters = p.add_shared({1, std::ssize(made.parameters)}, made.parameters);
  const auto norms = p.add_shared({1, std::ssize(made.norms)}, made.norms);
  std::vector<float> old = made.parameters;
  for (float& value : old)
    if (!std::isnan(value)) value = p.random().centred(1);
  in.gradients = p.add_shared({1, std::ssize(old)}, old);
  p.may_write({.state = in.gradients, .first = place.a, .count = form.n_in * form.rank});
  p.may_write({.state = in.gradients, .first = place.b, .count = form.rank * form.n_out});
  if (form.dora) p.may_write({.state = in.gradients, .first = place.m, .count = form.n_out});
  p.errors = [=](const OpProblem& problem) {
    return errors_of(problem, made, in, old, spec.space);
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    const auto gradients = adapter_backward(
        h.inputs[in.x], form.dora ? h.inputs[in.base] : Tensor(), h.states[parameters],
        form.dora ? h.states[norms] : Tensor(), place, h.inputs[in.g_y], h.states[in.gradients]);
    if (!form.dora) return {gradients.x};
    return {gradients.base, gradients.x};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "float32 products and sums over rows"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> adapter_backward_cases() {
  std::vector<OpCase> cases;
  cases.push_back(make("dora", kEveryMode, {}));
  cases.push_back(make("lora", kEveryMode, {.adapter = {.dora = false}}));
  cases.push_back(
      make("one_element", kEdge,
           {.adapter = {.n_in = 1, .n_out = 1, .rank = 1}, .segments = one_segment(1, 0)}));
  cases.push_back(
      make("odd_sizes", kEdge,
           {.adapter = {.n_in = 37, .n_out = 131, .rank = 3}, .segments = three_segments()}));
  cases.push_back(make("large_rank", kEdge,
                       {.adapter = {.n_in = 70, .n_out = 33, .rank = 77, .scale = 0.5F},
                        .segments = one_segment(33, 0)}));
  cases.push_back(make("zero_norms", kEdge, {.adapter = {.has_zeros = true}}));
  cases.push_back(
      make("outputs", kEdge, {.segments = mixed_segments(), .space = RowSpace::outputs}));
  cases.push_back(make("most_rows", kEdge,
                       {.adapter = {.n_in = 20, .n_out = 20}, .segments = one_segment(512, 0)}));
  cases.push_back(
      make("model", kModel | kBench,
           {.adapter = {.n_in = 2560, .n_out = 4096, .rank = 8}, .segments = one_segment(64, 0)}));
  return cases;
}

}  // namespace bitaxon::test
