#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "bitaxon/training_ops.h"
#include "cases/op_case.h"

namespace bitaxon::test {
namespace {

struct Spec {
  Format format = Format::f32;
  std::int64_t d_inner = 48;
  std::int64_t d_state = 8;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  double u_spread = 1;
  double z_spread = 1;
  double dt_bias = -3;
  double dt_spread = 1;
  double a_log = 0.5;
  /// Whether the time step is an input of the op. Then `params` may have columns before B.
  bool full_rank = false;
  std::int64_t columns_before = 0;
  bool norms = false;
  std::optional<TimeStepClip> clip = TimeStepClip{1e-4F, 100};
  /// Values of dt before its softplus, repeated over the channels. The bias is 0 then. Needs
  /// full_rank.
  std::vector<float> raw = {};
};

/// Adds dt, or the weight from which a time step of rank 1 is computed.
std::size_t add_time_step(OpProblem& p, const Spec& spec) {
  if (!spec.full_rank) return p.add_weight(spec.format, {1, spec.d_inner, 1}, spec.dt_spread);
  if (spec.raw.empty()) return p.add_input(spec.d_inner, spec.dt_spread);
  std::vector<float> values(static_cast<std::size_t>(p.valid_rows(RowSpace::rows) * spec.d_inner));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = spec.raw[i % static_cast<std::size_t>(spec.d_inner) % spec.raw.size()];
  return p.add_input<float>(std::array{spec.d_inner}, values);
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t e = spec.d_inner;
  const std::int64_t n = spec.d_state;
  const auto u = p.add_input(e, spec.u_spread);
  const auto params = p.add_input(spec.full_rank ? spec.columns_before + 2 * n : 2 * n + 1, 1);
  const auto z = p.add_input(e, spec.z_spread);
  const auto g_y = p.add_input(e, 1);
  const auto dt = add_time_step(p, spec);
  const auto dt_bias = p.add_weight(spec.format, {1, 1, e}, spec.raw.empty() ? 1 : 0,
                                    spec.raw.empty() ? spec.dt_bias : 0);
  const auto a_log = p.add_weight(spec.format, {1, e, n}, 1, spec.a_log);
  const auto skip = p.add_weight(spec.format, {1, 1, e}, 1);
  const auto b_norm = spec.norms ? p.add_weight(spec.format, {1, 1, n}, 0.3, 1) : 0;
  const auto c_norm = spec.norms ? p.add_weight(spec.format, {1, 1, n}, 0.3, 1) : 0;
  const auto h = p.add_state(DType::f32, {n, e});
  p.fill_state(h, spec.u_spread);
  const auto carry = p.add_carry({n, e}, 1);
  p.record = [=](const OpHandles& handles) {
    const auto& [weights, inputs, states, n_rows, n_segments, n_outputs] = handles;
    const SelectiveScanGradients g = selective_scan_backward(
        inputs[u], inputs[params], spec.full_rank ? inputs[dt] : Tensor(), inputs[z],
        {.dt_weight = spec.full_rank ? Tensor() : weights[dt],
         .dt_bias = weights[dt_bias],
         .a_log = weights[a_log],
         .skip = weights[skip],
         .b_norm = spec.norms ? weights[b_norm] : Tensor(),
         .c_norm = spec.norms ? weights[c_norm] : Tensor()},
        {.clip = spec.clip, .eps = 1e-6F}, states[h], inputs[g_y], states[carry]);
    std::vector<Tensor> outputs = {g.u, g.params, g.z};
    if (spec.full_rank) outputs.push_back(g.dt);
    return outputs;
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {1e-5, "the float32 recurrence in both directions, and sums over channels"},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

/// A time step of full rank without a clip, with or without norms of B and C.
Spec full_rank(Spec spec, bool norms = true) {
  spec.full_rank = true;
  spec.norms = norms;
  spec.clip = {};
  return spec;
}

void add_full_rank_cases(std::vector<OpCase>& cases) {
  for (const std::uint32_t n : {1U, 2U, 5U, 17U, 33U}) {
    const auto segments = one_segment(n, n % 2 == 0 ? 0 : 3);
    const std::string rows = fmt::format("_rows_{}", n);
    cases.push_back(make("full_rank" + rows, kEdge,
                         full_rank({.d_inner = 65, .d_state = 16, .segments = segments}, false)));
    cases.push_back(
        make("full_rank_normed" + rows, kEdge,
             full_rank({.d_inner = 13, .d_state = 5, .segments = segments, .columns_before = 3})));
  }
  cases.push_back(make("full_rank_segments", kEdge | kEveryMode,
                       full_rank({.format = Format::f16,
                                  .d_state = 16,
                                  .segments = three_segments(),
                                  .columns_before = 48})));
  cases.push_back(
      make("full_rank_ending", kEdge, full_rank({.d_state = 16, .segments = ending_segments()})));
  // Time steps below, inside, at and above the clip. At a bound, no gradient passes.
  Spec clipped = full_rank(
      {.segments = three_segments(), .a_log = -6, .raw = {-20, -9.5F, -9, 0, 3, 99, 100, 101, 140}},
      false);
  clipped.clip = TimeStepClip{1e-4F, 100};
  cases.push_back(make("time_steps_at_the_clip", kEdge, clipped));
  clipped.raw = {-200, -80, -1, 0, 30};
  clipped.a_log = 0;
  clipped.clip = {};
  cases.push_back(make("time_steps_without_clip", kEdge, clipped));
}

}  // namespace

std::vector<OpCase> selective_scan_backward_cases() {
  std::vector<OpCase> cases;
  for (const Format format : {Format::f32, Format::f16, Format::bf16})
    cases.push_back(make("format_" + std::string(name_of(format)),
                         format == Format::f16 ? kEveryMode : kPlain, {.format = format}));
  for (const std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
    for (const std::uint32_t position : {0U, 6U})
      cases.push_back(make(fmt::format("rows_{}_at_{}", n, position), kPlain,
                           {.segments = one_segment(n, position), .capacity = n == 1 ? 1 : 0}));
  for (const std::uint32_t n : {1U, 17U, 63U, 64U, 65U, 130U})
    for (const std::int64_t d_inner : {48, 65})
      cases.push_back(make(
          fmt::format("sixteen_states_{}_rows_{}", d_inner, n), kPlain,
          {.d_inner = d_inner, .d_state = 16, .segments = one_segment(n, n % 2 == 0 ? 0 : 3)}));
  cases.push_back(make("full_bucket", kEdge, {.segments = one_segment(8, 1), .capacity = 8}));
  cases.push_back(
      make("odd_sizes", kEdge, {.d_inner = 13, .d_state = 5, .segments = three_segments()}));
  cases.push_back(make("one_state", kEdge, {.d_inner = 33, .d_state = 1}));
  cases.push_back(make("one_channel", kEdge, {.d_inner = 1, .d_state = 16}));
  cases.push_back(make("three_segments", kEdge, {.segments = three_segments()}));
  for (const std::int64_t d_state : {5, 16})
    cases.push_back(make(fmt::format("ending_segments_{}_states", d_state), kEdge,
                         {.d_state = d_state, .segments = ending_segments()}));
  cases.push_back(
      make("many_channels", kEdge, {.d_inner = 1100, .d_state = 4, .segments = three_segments()}));
  cases.push_back(
      make("many_odd_states", kEdge, {.d_inner = 15, .d_state = 99, .segments = three_segments()}));
  cases.push_back(make("long_segments", kEdge, {.d_state = 16, .segments = long_segments()}));
  cases.push_back(make("slow_decay", kEdge,
                       {.d_state = 16, .segments = long_segments(), .dt_bias = -7, .a_log = -4}));
  cases.push_back(make("forgets_at_once", kEdge, {.segments = three_segments(), .a_log = 8}));
  cases.push_back(make("gate_saturated", kEdge, {.z_spread = 60}));
  cases.push_back(make("large_values", kEdge, {.segments = three_segments(), .u_spread = 1e12}));
  add_full_rank_cases(cases);
  cases.push_back(
      make("model", kModel | kBench,
           {.d_inner = 7680, .d_state = 16, .segments = one_segment(64, 100), .capacity = 64}));
  return cases;
}

}  // namespace bitaxon::test
