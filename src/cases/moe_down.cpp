#include <cmath>
#include <optional>

#include "cases/errors.h"
#include "cases/moe_experts.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  /// The format of the shared expert. Empty: the format of the other experts.
  std::optional<Format> shared_format = {};
  std::int64_t d_model = 96;
  std::int64_t intermediate = 64;
  std::int64_t n_experts = 6;
  std::int64_t top_k = 2;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  Routing routing = Routing::random;
  bool shared = true;
  double act_spread = 1;
  bool zero_gates = false;
};

std::size_t add_gates(OpProblem& p, const Spec& spec) {
  const std::int64_t row[] = {spec.top_k + 1};
  std::vector<float> gates(static_cast<std::size_t>(p.valid_rows(RowSpace::rows) * row[0]));
  for (std::size_t i = 0; i < gates.size(); ++i) {
    const bool shared_slot = static_cast<std::int64_t>(i) % row[0] == spec.top_k;
    if (!spec.zero_gates && (spec.shared || !shared_slot))
      gates[i] = static_cast<float>(p.random().uniform(0, 1));
  }
  return p.add_input<float>(row, gates);
}

struct Parts {
  std::size_t act, experts, gates, residual, down;
  std::optional<std::size_t> shared;
};

/// The allowed error of each output. An output counts as one sum over all slots and columns,
/// because a kernel may apply the gates to partial sums.
std::vector<double> errors_of(const OpProblem& p, const Spec& spec, const Parts& parts) {
  const auto* experts =
      reinterpret_cast<const std::int32_t*>(p.inputs()[parts.experts].bytes.data());
  const auto n = static_cast<std::size_t>(spec.intermediate);
  WeightRows down(p.weights()[parts.down]);
  WeightRows shared(p.weights()[parts.shared.value_or(parts.down)]);
  std::vector<double> allowed;
  for (std::int64_t r = 0; r < p.valid_rows(RowSpace::rows); ++r) {
    const NormedRow act = normed(input_row(p, parts.act, r), {}, 0);
    const auto gates = input_row(p, parts.gates, r);
    const auto residual = input_row(p, parts.residual, r);
    for (std::int64_t o = 0; o < spec.d_model; ++o) {
      Sum sum;
      sum.add({static_cast<double>(residual[static_cast<std::size_t>(o)])});
      const auto add_slot = [&](std::int64_t s, const WeightRow& row) {
        const auto slot = static_cast<std::size_t>(s);
        sum.add_products(row, std::span(act.x).subspan(slot * n, n),
                         static_cast<double>(gates[slot]));
      };
      for (std::int64_t s = 0; s < spec.top_k; ++s)
        add_slot(s, down.row(experts[r * spec.top_k + s] * spec.d_model + o));
      if (parts.shared) add_slot(spec.top_k, shared.row(o));
      allowed.push_back(allowed_of(sum.result()));
    }
  }
  return allowed;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t d = spec.d_model;
  const std::int64_t n = spec.intermediate;
  const double spread = 1 / std::sqrt(static_cast<double>(n));
  const std::int64_t row[] = {spec.top_k};
  const std::int64_t act_row[] = {spec.top_k + (spec.shared ? 1 : 0), n};
  std::vector<float> values(
      static_cast<std::size_t>(p.valid_rows(RowSpace::rows) * act_row[0] * act_row[1]));
  for (float& value : values) value = p.random().centred(spec.act_spread);
  const auto act = p.add_input<float>(act_row, values);
  const auto experts =
      p.add_input<std::int32_t>(row, routed(p, spec.routing, spec.n_experts, spec.top_k));
  const auto gates = add_gates(p, spec);
  const auto residual = p.add_input(d, spec.act_spread);
  const auto down = p.add_weight(spec.format, {spec.n_experts, d, n}, spread);
  const auto shared =
      spec.shared ? p.add_weight(spec.shared_format.value_or(spec.format), {1, d, n}, spread) : 0;
  p.errors = [=](const OpProblem& problem) -> ResultErrors {
    const std::optional<std::size_t> shared_down =
        spec.shared ? std::optional(shared) : std::nullopt;
    return {errors_of(problem, spec, {act, experts, gates, residual, down, shared_down})};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {moe_down(h.inputs[act], h.inputs[experts], h.inputs[gates], h.weights[down],
                     spec.shared ? h.weights[shared] : Tensor(), h.inputs[residual])};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "a float32 sum of slots * I products, in any order"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace

std::vector<OpCase> moe_down_cases() {
  std::vector<OpCase> cases;
  for (Format format : kEveryFormat)
    cases.push_back(make("format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .intermediate = 128}));
  for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
    cases.push_back(make("rows_" + std::to_string(n), kPlain, {.segments = one_segment(n, 0)}));
  // Backends use one kernel for few rows, another for many rows, and a third for very many rows.
  for (Format format : kEveryFormat)
    cases.push_back(make("many_rows_format_" + std::string(name_of(format)), tags_of(format),
                         {.format = format, .intermediate = 128, .segments = one_segment(17, 0)}));
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
    cases.push_back(make("shared_of_other_format" + rows, kEdge | kExhaustive,
                         {.format = Format::q4_g64,
                          .shared_format = Format::f16,
                          .intermediate = 128,
                          .segments = one_segment(n, 0)}));
    cases.push_back(make("shared_of_other_codebook" + rows, kEdge | kExhaustive,
                         {.format = Format::nf4_g64,
                          .shared_format = Format::nf4_nested,
                          .intermediate = 128,
                          .segments = one_segment(n, 0)}));
  }
  cases.push_back(make("full_bucket", kEdge, {.segments = one_segment(8, 1), .capacity = 8}));
  cases.push_back(make("three_segments", kPlain, {.segments = three_segments()}));
  cases.push_back(
      make("odd_sizes", kEdge, {.d_model = 13, .intermediate = 7, .n_experts = 5, .top_k = 3}));
  cases.push_back(make("nf4_stack_across_rows", kEdge,
                       {.format = Format::nf4_g64, .d_model = 13, .intermediate = 7}));
  cases.push_back(make("one_expert_of_one", kEdge, {.n_experts = 1, .top_k = 1}));
  cases.push_back(make("every_expert", kEdge, {.n_experts = 4, .top_k = 4}));
  cases.push_back(
      make("all_rows_to_one_expert", kEdge,
           {.top_k = 1, .segments = one_segment(17, 0), .routing = Routing::one_expert}));
  cases.push_back(
      make("empty_experts", kEdge,
           {.n_experts = 9, .segments = one_segment(17, 0), .routing = Routing::some_empty}));
  cases.push_back(make("without_shared", kEdge, {.segments = three_segments(), .shared = false}));
  cases.push_back(make("residual_alone", kEdge, {.zero_gates = true}));
  cases.push_back(make("large_values", kEdge, {.act_spread = 1e18}));
  cases.push_back(make("tiny_values", kEdge, {.act_spread = 1e-18}));
  cases.push_back(make("model", kModel | kBench,
                       {.format = Format::q4_g64,
                        .d_model = 2560,
                        .intermediate = 4096,
                        .n_experts = 8,
                        .segments = one_segment(1, 9)}));
  return cases;
}

}  // namespace bitaxon::test
