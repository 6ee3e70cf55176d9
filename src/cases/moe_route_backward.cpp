#include <fmt/format.h>

#include <array>
#include <cmath>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"
#include "cases/moe_experts.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;   ///< of the router
  Format vectors = Format::f32;  ///< of the norm and the shared gate
  std::int64_t d_model = 96;
  std::int64_t n_experts = 6;
  std::int64_t top_k = 2;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  bool norm = true;
  bool shared = true;
  bool renormalize = false;
  bool of_normed = true;  ///< whether there is a gradient of normed
  bool of_gates = true;   ///< whether there is a gradient of the gates
  double gate_spread = 1;
};

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t d = spec.d_model;
  const std::int64_t row[] = {spec.top_k};
  const auto x = p.add_input(d, 1);
  const auto normed = p.add_input(d, 1);
  const auto experts =
      p.add_input<std::int32_t>(row, routed(p, Routing::random, spec.n_experts, spec.top_k));
  std::vector<float> values(
      static_cast<std::size_t>(p.valid_rows(RowSpace::rows) * (spec.top_k + 1)));
  for (float& value : values) value = static_cast<float>(p.random().uniform(0, 1));
  const auto gates = p.add_input<float>(std::array{spec.top_k + 1}, values);
  const auto g_normed = p.add_input(d, 1);
  const auto g_gates = p.add_input(spec.top_k + 1, 1);
  const auto norm = p.add_weight(spec.vectors, {1, 1, d}, 0.3, 1);
  const auto gate = p.add_weight(spec.format, {1, spec.n_experts, d},
                                 spec.gate_spread / std::sqrt(static_cast<double>(d)));
  const auto shared = p.add_weight(spec.vectors, {1, 1, d}, 1 / std::sqrt(static_cast<double>(d)));
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {moe_route_backward(h.inputs[x], spec.norm ? h.weights[norm] : Tensor(), 1e-6F,
                               h.weights[gate], spec.shared ? h.weights[shared] : Tensor(),
                               spec.renormalize,
                               {h.inputs[normed], h.inputs[experts], h.inputs[gates]},
                               spec.of_normed ? h.inputs[g_normed] : Tensor(),
                               spec.of_gates ? h.inputs[g_gates] : Tensor())};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {1e-5, "float32 sums of products, a softmax, and the gradient of a norm"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> moe_route_backward_cases() {
  std::vector<OpCase> cases;
  for (const Format format : kEveryFormat)
    cases.push_back(make("format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .d_model = 128}));
  for (const bool renormalize : {false, true})
    for (const std::uint32_t n : {1U, 2U, 17U, 33U})
      cases.push_back(make(
          fmt::format("rows_{}{}", n, renormalize ? "_renormalized" : ""), kPlain,
          {.segments = one_segment(n, 0), .capacity = n == 1 ? 1 : 0, .renormalize = renormalize}));
  for (const bool renormalize : {false, true}) {
    const std::string suffix = renormalize ? "_renormalized" : "";
    cases.push_back(make("every_expert" + suffix, kEdge,
                         {.n_experts = 4, .top_k = 4, .renormalize = renormalize}));
    cases.push_back(make("odd_sizes" + suffix, kEdge,
                         {.vectors = Format::bf16,
                          .d_model = 13,
                          .n_experts = 5,
                          .top_k = 3,
                          .segments = three_segments(),
                          .renormalize = renormalize}));
    cases.push_back(
        make("large_logits" + suffix, kEdge, {.renormalize = renormalize, .gate_spread = 100}));
    cases.push_back(make("many_experts" + suffix, kEdge,
                         {.n_experts = 130, .top_k = 8, .renormalize = renormalize}));
  }
  cases.push_back(make("ties", kEdge, {.gate_spread = 0}));
  cases.push_back(make("one_expert", kEdge, {.n_experts = 1, .top_k = 1}));
  cases.push_back(make("without_norm", kEdge, {.norm = false}));
  cases.push_back(make("without_shared_gate", kEdge, {.shared = false}));
  cases.push_back(make("gates_alone", kEdge, {.of_normed = false}));
  cases.push_back(make("normed_alone", kEdge, {.of_gates = false}));
  cases.push_back(make("full_bucket", kEdge, {.segments = one_segment(8, 0), .capacity = 8}));
  cases.push_back(make("model", kModel | kBench,
                       {.format = Format::f16,
                        .d_model = 2560,
                        .n_experts = 8,
                        .segments = one_segment(64, 100),
                        .capacity = 64}));
  return cases;
}

}  // namespace bitaxon::test
