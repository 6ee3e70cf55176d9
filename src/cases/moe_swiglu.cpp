#include <algorithm>
#include <cmath>
#include <optional>

#include "cases/errors.h"
#include "cases/moe_experts.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  /// The format of the shared expert's gate and up projections. Empty: the formats of the other
  /// experts.
  std::optional<Format> shared_format = {};
  /// The format of the up projections. Empty: the format of the gate projections.
  std::optional<Format> up_format = {};
  std::int64_t d_model = 64;
  std::int64_t intermediate = 96;
  std::int64_t n_experts = 6;
  std::int64_t top_k = 2;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  Routing routing = Routing::random;
  bool shared = true;
  double x_spread = 1;
};

/// The indexes of two weights: those of the shared expert, or the stacked weights of the other
/// experts.
struct Pair {
  std::size_t gate, up;
};

std::vector<double> errors_of(const OpProblem& p, const Spec& spec, std::size_t x,
                              std::size_t experts_at, const Pair& stacks,
                              const std::optional<Pair>& shared) {
  const auto* experts = reinterpret_cast<const std::int32_t*>(p.inputs()[experts_at].bytes.data());
  std::vector<double> allowed;
  for (std::int64_t r = 0; r < p.valid_rows(RowSpace::rows); ++r) {
    const NormedRow row = normed(input_row(p, x, r), {}, 0);
    const auto add_slot = [&](const Pair& weights, std::int64_t first) {
      WeightRows gate(p.weights()[weights.gate]);
      WeightRows up(p.weights()[weights.up]);
      for (std::int64_t o = first; o < first + spec.intermediate; ++o)
        allowed.push_back(
            allowed_of(silu_of(product(gate.row(o), row.x)) * product(up.row(o), row.x)));
    };
    for (std::int64_t s = 0; s < spec.top_k; ++s)
      add_slot(stacks, experts[r * spec.top_k + s] * spec.intermediate);
    if (shared) add_slot(*shared, 0);
  }
  return allowed;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t d = spec.d_model;
  const double spread = 1 / std::sqrt(static_cast<double>(d));
  const Shape stack{spec.n_experts, spec.intermediate, d};
  const Shape one{1, spec.intermediate, d};
  const auto x = p.add_input(d, spec.x_spread);
  const std::int64_t row[] = {spec.top_k};
  const auto experts =
      p.add_input<std::int32_t>(row, routed(p, spec.routing, spec.n_experts, spec.top_k));
  const auto gate = p.add_weight(spec.format, stack, spread);
  const Format up_format = spec.up_format.value_or(spec.format);
  const auto up = p.add_weight(up_format, stack, spread);
  const auto shared_gate =
      spec.shared ? p.add_weight(spec.shared_format.value_or(spec.format), one, spread) : 0;
  const auto shared_up =
      spec.shared ? p.add_weight(spec.shared_format.value_or(up_format), one, spread) : 0;
  p.errors = [=](const OpProblem& problem) -> ResultErrors {
    return {errors_of(problem, spec, x, experts, {gate, up},
                      spec.shared ? std::optional(Pair{shared_gate, shared_up}) : std::nullopt)};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {moe_swiglu(h.inputs[x], h.inputs[experts],
                       {.gate = h.weights[gate],
                        .up = h.weights[up],
                        .shared_gate = spec.shared ? h.weights[shared_gate] : Tensor(),
                        .shared_up = spec.shared ? h.weights[shared_up] : Tensor()})};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "two float32 sums of D products in any order, and a SiLU"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> moe_swiglu_cases() {
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(make("format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .d_model = 128}));
  for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
    cases.push_back(make("rows_" + std::to_string(n), kPlain, {.segments = one_segment(n, 0)}));
  // Backends use one kernel for few rows, another for many rows, and a third for very many rows.
  for (Format format : kEveryFormat)
    cases.push_back(make("many_rows_format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .d_model = 128, .segments = one_segment(17, 0)}));
  for (std::uint32_t n : {1U, 2U, 16U, 17U, 64U, 65U})
    cases.push_back(make("full_bucket_" + std::to_string(n), kEdge | kExhaustive,
                         {.segments = one_segment(n, 0), .capacity = n}));
  cases.push_back(make("many_rows_odd_sizes", kEdge,
                       {.d_model = 13,
                        .intermediate = 7,
                        .n_experts = 5,
                        .top_k = 3,
                        .segments = one_segment(19, 0)}));
  cases.push_back(make("many_rows_odd_sizes_nf4", kEdge | kExhaustive,
                       {.format = Format::nf4_g64,
                        .d_model = 37,
                        .intermediate = 139,
                        .segments = one_segment(70, 0)}));
  cases.push_back(make("many_rows_sizes_of_four", kEdge | kExhaustive,
                       {.format = Format::f16,
                        .d_model = 140,
                        .intermediate = 148,
                        .segments = one_segment(70, 0)}));
  cases.push_back(make("full_step", kEdge | kExhaustive,
                       {.format = Format::q4_g32,
                        .d_model = 32,
                        .intermediate = 32,
                        .n_experts = 8,
                        .segments = one_segment(512, 0),
                        .capacity = 512}));
  cases.push_back(make("full_step_to_one_expert", kEdge | kExhaustive,
                       {.d_model = 20,
                        .intermediate = 20,
                        .top_k = 1,
                        .segments = one_segment(512, 0),
                        .capacity = 512,
                        .routing = Routing::one_expert}));
  cases.push_back(make("many_rows_every_expert", kEdge,
                       {.n_experts = 5, .top_k = 5, .segments = one_segment(23, 0)}));
  cases.push_back(
      make("many_rows_without_shared", kEdge, {.segments = one_segment(80, 0), .shared = false}));
  for (std::uint32_t n : {2U, 17U}) {
    const std::string rows = "_rows_" + std::to_string(n);
    // Neither of the block sizes 24 and 64 divides the other.
    cases.push_back(make("blocks_of_every_size" + rows, kEdge | kExhaustive,
                         {.format = Format::nf4_g24,
                          .shared_format = Format::q4_g64,
                          .up_format = Format::q4_g32,
                          .d_model = 192,
                          .segments = one_segment(n, 0)}));
    cases.push_back(make("shared_of_other_format" + rows, kEdge | kExhaustive,
                         {.format = Format::q4_g64,
                          .shared_format = Format::f16,
                          .d_model = 128,
                          .segments = one_segment(n, 0)}));
    cases.push_back(make("every_format_another" + rows, kEdge | kExhaustive,
                         {.format = Format::nf4_g64,
                          .shared_format = Format::nf4_nested,
                          .up_format = Format::q4_g32,
                          .d_model = 128,
                          .segments = one_segment(n, 0)}));
  }
  cases.push_back(make("full_bucket", kEdge, {.segments = one_segment(8, 1), .capacity = 8}));
  cases.push_back(make("three_segments", kPlain, {.segments = three_segments()}));
  cases.push_back(
      make("odd_sizes", kEdge, {.d_model = 13, .intermediate = 7, .n_experts = 5, .top_k = 3}));
  cases.push_back(make("nf4_stack_across_rows", kEdge,
                       {.format = Format::nf4_g64, .d_model = 13, .intermediate = 7}));
  cases.push_back(make("nf4_nested_stack_across_rows", kEdge,
                       {.format = Format::nf4_nested, .d_model = 13, .intermediate = 7}));
  cases.push_back(make("one_expert_of_one", kEdge, {.n_experts = 1, .top_k = 1}));
  cases.push_back(make("every_expert", kEdge, {.n_experts = 4, .top_k = 4}));
  cases.push_back(
      make("all_rows_to_one_expert", kEdge,
           {.top_k = 1, .segments = one_segment(17, 0), .routing = Routing::one_expert}));
  cases.push_back(
      make("empty_experts", kEdge,
           {.n_experts = 9, .segments = one_segment(17, 0), .routing = Routing::some_empty}));
  cases.push_back(make("without_shared", kEdge, {.segments = three_segments(), .shared = false}));
  cases.push_back(make("silu_saturated", kEdge, {.x_spread = 1e3}));
  cases.push_back(make("large_values", kEdge, {.x_spread = 1e15}));
  cases.push_back(make("tiny_values", kEdge, {.x_spread = 1e-15}));
  cases.push_back(make("model", kModel | kBench,
                       {.format = Format::q4_g64,
                        .d_model = 2560,
                        .intermediate = 4096,
                        .n_experts = 8,
                        .segments = one_segment(1, 9)}));
  return cases;
}

}  // namespace bitaxon::test
