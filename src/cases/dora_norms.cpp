#include "cases/adapters.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  AdapterSpec adapter = {};
  bool zeros = false;  ///< the weight and B are 0
};

/// The allowed errors of || W[k, :] + scale * (A B)^T[k, :] ||.
ResultErrors errors_of(const OpProblem& p, std::size_t weight, const CaseAdapter& adapter) {
  std::vector<double> allowed;
  WeightRows rows(p.weights()[weight]);
  for (std::int64_t k = 0; k < adapter.spec.n_out; ++k) {
    const WeightRow w = rows.row(k);
    Sum squares;
    for (std::int64_t i = 0; i < adapter.spec.n_in; ++i) {
      Sum sum;
      for (std::int64_t j = 0; j < adapter.spec.rank; ++j)
        sum.add(Rounded{adapter.a(i, j)} * Rounded{adapter.b(j, k)});
      const auto c = static_cast<std::size_t>(i);
      const double decoding = w.roundings * kRounding * w.size(c);
      const Rounded value = Rounded{w.value(c), decoding, 0, decoding} +
                            rounded(Rounded{adapter.spec.scale} * sum.result());
      squares.add(value * value);
    }
    // An error of the sum counts half in its root.
    allowed.push_back(allowed_of(function([](double v) { return std::sqrt(std::max(v, 0.0)); },
                                          squares.result(), 4.5 * kUlp)));
  }
  return {allowed};
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(one_segment(5, 3));
  CaseAdapter made = make_adapter(p.random(), spec.adapter);
  const AdapterSpec& form = spec.adapter;
  const Shape shape{1, form.n_out, form.n_in};
  if (spec.zeros) std::fill_n(made.parameters.begin() + made.place.b, form.rank * form.n_out, 0.0F);
  const auto weight =
      spec.zeros ? p.add_weight(shape, std::vector<float>(
                                           static_cast<std::size_t>(form.n_out * form.n_in), 0.0F))
                 : p.add_weight(spec.format, shape, 1 / std::sqrt(static_cast<double>(form.n_in)));
  const auto parameters = p.add_shared({1, std::ssize(made.parameters)}, made.parameters);
  const auto norms = p.add_shared({1, std::ssize(made.norms)}, made.norms);
  p.may_write({.state = norms, .first = made.place.norm, .count = form.n_out});
  p.errors = [=](const OpProblem& problem) { return errors_of(problem, weight, made); };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    dora_norms(h.weights[weight], h.states[parameters], h.states[norms], made.place);
    return {};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {1e-6, "the precision that the manual promises"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> dora_norms_cases() {
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(make("format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .adapter = {.n_in = 256, .n_out = 33}}));
  cases.push_back(make("one_element", kEdge, {.adapter = {.n_in = 1, .n_out = 1, .rank = 1}}));
  cases.push_back(make("odd_sizes", kEdge, {.adapter = {.n_in = 37, .n_out = 131, .rank = 3}}));
  cases.push_back(
      make("large_rank", kEdge, {.adapter = {.n_in = 70, .n_out = 33, .rank = 77, .scale = 0.5F}}));
  cases.push_back(make("blocks_across_rows", kEdge,
                       {.format = Format::nf4_g64, .adapter = {.n_in = 37, .n_out = 13}}));
  cases.push_back(make("zeros", kEdge, {.zeros = true}));
  cases.push_back(
      make("model", kModel | kBench,
           {.format = Format::q4_g64, .adapter = {.n_in = 2560, .n_out = 1024, .rank = 8}}));
  return cases;
}

}  // namespace bitaxon::test
