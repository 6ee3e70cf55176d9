#include <fmt/format.h>

#include <limits>
#include <optional>
#include <utility>

#include "cases/scan_case.h"

namespace bitaxon::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// A time step of full rank without a clip, as in Mamba.
ScanSpec full_rank(ScanSpec spec) {
  spec.full_rank = true;
  spec.clip = {};
  return spec;
}

/// The same with norms of B and C, as in Jamba.
ScanSpec full_rank_normed(ScanSpec spec) {
  spec.norms = true;
  return full_rank(std::move(spec));
}

/// Cases with a time step of full rank, with norms, and with other clips.
void add_full_rank_cases(std::vector<OpCase>& cases) {
  for (std::uint32_t n : {1U, 2U, 5U, 17U, 33U}) {
    const std::string rows = "_rows_" + std::to_string(n);
    const auto segments = one_segment(n, n % 2 == 0 ? 0 : 3);
    const unsigned tags = n == 2 || n == 17 ? kEdge | kExhaustive : kEdge;
    cases.push_back(scan_case("full_rank" + rows, tags,
                              full_rank({.d_inner = 65, .d_state = 16, .segments = segments})));
    cases.push_back(
        scan_case("full_rank_normed" + rows, tags,
                  full_rank_normed({.d_state = 16, .segments = segments, .columns_before = 7})));
    cases.push_back(
        scan_case("full_rank_odd_sizes" + rows, tags,
                  full_rank_normed(
                      {.d_inner = 13, .d_state = 5, .segments = segments, .columns_before = 3})));
  }
  for (Format format : {Format::f16, Format::bf16})
    cases.push_back(scan_case("full_rank_format_" + std::string(name_of(format)), kEdge,
                              full_rank_normed({.format = format, .columns_before = 5})));
  cases.push_back(
      scan_case("full_rank_segments", kEdge,
                full_rank({.d_state = 16, .segments = three_segments(), .columns_before = 48})));
  cases.push_back(scan_case("full_rank_single", kEdge,
                            full_rank_normed({.d_inner = 33,
                                              .d_state = 16,
                                              .segments = one_segment(1, 6),
                                              .capacity = 1,
                                              .columns_before = 9})));
  // The time steps are between 1e-12 and 1e-4.
  cases.push_back(scan_case("full_rank_small_dt", kEdge,
                            full_rank({.d_state = 16,
                                       .segments = three_segments(),
                                       .dt_bias = -17,
                                       .dt_spread = 2,
                                       .a_log = 4})));
  // The time steps are between 20 and 60, and some are above 100.
  for (double dt_bias : {40.0, 100.0})
    cases.push_back(scan_case(fmt::format("full_rank_dt_near_{}", dt_bias), kEdge,
                              full_rank({.d_state = 16,
                                         .segments = three_segments(),
                                         .dt_bias = dt_bias,
                                         .dt_spread = 6,
                                         .a_log = -5})));
  cases.push_back(scan_case("full_rank_softplus_overflows_exp", kEdge,
                            full_rank({.dt_bias = 0, .dt_spread = 1e4, .a_log = -9})));
  cases.push_back(
      scan_case("full_rank_forgets_at_once", kEdge,
                full_rank({.d_state = 16, .segments = one_segment(33, 3), .a_log = 8})));
  ScanSpec clipped = full_rank({.d_state = 16, .dt_spread = 3, .columns_before = 2});
  clipped.clip = TimeStepClip{0.01F, 0.1F};
  cases.push_back(scan_case("full_rank_clipped", kEdge, clipped));
  cases.push_back(scan_case("rank_one_without_clip", kEdge,
                            {.segments = three_segments(), .dt_bias = -14, .clip = {}}));
  cases.push_back(
      scan_case("rank_one_normed", kEdge,
                {.d_inner = 13, .d_state = 5, .segments = three_segments(), .norms = true}));
  cases.push_back(scan_case("full_rank_eps_dominates", kEdge,
                            full_rank_normed({.params_spread = 1e-3, .eps = 0.1F})));
  cases.push_back(
      scan_case("full_rank_zero_b_and_c", kEdge, full_rank_normed({.params_spread = 0})));
  cases.push_back(scan_case("full_rank_nan_stays", kEdge,
                            full_rank_normed({.segments = three_segments(), .nan = true})));
  cases.push_back(scan_case(
      "full_rank_long_segments", kEdge,
      full_rank_normed({.d_state = 16, .segments = long_segments(), .columns_before = 3})));
  cases.push_back(scan_case("full_rank_longest_segment", kEdge,
                            full_rank({.segments = one_segment(512, 0), .columns_before = 1})));
  cases.push_back(scan_case("full_rank_long_small_dt", kEdge | kExhaustive,
                            full_rank({.d_state = 16,
                                       .segments = long_segments(),
                                       .dt_bias = -17,
                                       .dt_spread = 2,
                                       .a_log = 3})));
  for (std::int64_t d_state : {1, 3, 99, 256})
    cases.push_back(scan_case(fmt::format("full_rank_{}_states", d_state), kEdge,
                              full_rank_normed({.d_inner = 17,
                                                .d_state = d_state,
                                                .segments = three_segments(),
                                                .columns_before = 4})));
  cases.push_back(scan_case("full_rank_model", kModel | kBench,
                            full_rank_normed({.d_inner = 8192,
                                              .d_state = 16,
                                              .segments = one_segment(4, 100),
                                              .columns_before = 256})));
}

}  // namespace

std::vector<OpCase> selective_scan_cases() {
  std::vector<OpCase> cases;
  for (Format format : {Format::f32, Format::f16, Format::bf16})
    cases.push_back(
        scan_case("format_" + std::string(name_of(format)), tags_of(format), {.format = format}));
  for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
    for (std::uint32_t position : {0U, 6U})
      cases.push_back(scan_case("rows_" + std::to_string(n) + "_at_" + std::to_string(position),
                                kPlain, {.segments = one_segment(n, position)}));
  // These cases have 16 states, as the models do, because vectorized kernels keep 16 states in
  // registers. Most of them have enough rows for several blocks of a kernel.
  for (std::uint32_t n : {1U, 2U, 17U, 33U})
    for (std::int64_t d_inner : {48, 65})
      cases.push_back(scan_case(
          fmt::format("sixteen_states_{}_rows_{}", d_inner, n), kPlain,
          {.d_inner = d_inner, .d_state = 16, .segments = one_segment(n, n % 2 == 0 ? 0 : 3)}));
  cases.push_back(scan_case("sixteen_states_segments", kEdge,
                            {.d_inner = 65, .d_state = 16, .segments = long_segments()}));
  cases.push_back(scan_case("sixteen_states_forget_at_once", kEdge,
                            {.d_state = 16, .segments = one_segment(33, 3), .a_log = 8}));
  cases.push_back(scan_case("sixteen_states_decay_slowly", kEdge,
                            {.d_state = 16,
                             .segments = one_segment(512, 0),
                             .capacity = 512,
                             .a_log = -4,
                             .a_log_spread = 2}));
  cases.push_back(scan_case("full_bucket", kEdge, {.segments = one_segment(8, 1), .capacity = 8}));
  cases.push_back(
      scan_case("odd_sizes", kEdge, {.d_inner = 13, .d_state = 5, .segments = three_segments()}));
  cases.push_back(scan_case("one_state", kEdge, {.d_inner = 33, .d_state = 1}));
  cases.push_back(scan_case("one_channel", kEdge, {.d_inner = 1, .d_state = 16}));
  cases.push_back(scan_case("three_segments", kEdge, {.segments = three_segments()}));
  for (const std::int64_t d_state : {5, 16})
    cases.push_back(scan_case(fmt::format("ending_segments_{}_states", d_state), kEdge,
                              {.d_state = d_state, .segments = ending_segments()}));
  cases.push_back(scan_case(
      "single_ending", kEdge,
      {.d_state = 16, .segments = {{.position = 6, .keeps_state = false}}, .capacity = 1}));
  cases.push_back(scan_case("dt_below_lower_clip", kEdge,
                            {.segments = three_segments(), .dt_bias = -60, .dt_spread = 10}));
  cases.push_back(scan_case("dt_around_lower_clip", kEdge,
                            {.segments = three_segments(), .dt_bias = -9.21, .dt_spread = 0.3}));
  // The size of the decay rate a is near exp(-6) = 2.5e-3, so exp(100 a) is neither 0 nor 1.
  cases.push_back(
      scan_case("dt_above_upper_clip", kEdge,
                {.segments = three_segments(), .dt_bias = 500, .dt_spread = 10, .a_log = -6}));
  cases.push_back(
      scan_case("dt_around_upper_clip", kEdge,
                {.segments = three_segments(), .dt_bias = 100, .dt_spread = 3, .a_log = -6}));
  cases.push_back(
      scan_case("softplus_overflows_exp", kEdge, {.dt_bias = 0, .dt_spread = 1e4, .a_log = -6}));
  cases.push_back(scan_case("forgets_at_once", kEdge, {.a_log = 8}));
  cases.push_back(scan_case("forgets_nothing", kEdge, {.a_log = -40}));
  cases.push_back(scan_case("gate_saturated", kEdge, {.z_spread = 200}));
  cases.push_back(
      scan_case("large_values", kEdge, {.segments = three_segments(), .u_spread = 1e15}));
  cases.push_back(
      scan_case("tiny_values", kEdge, {.segments = three_segments(), .u_spread = 1e-15}));
  cases.push_back(scan_case("nan_stays", kEdge, {.segments = three_segments(), .nan = true}));
  // For several rows at once, vectorized kernels bound the product of time step and decay rate by
  // that of the largest time step. This bound must not hide a NaN that follows a large time step.
  for (const std::int64_t d_state : {16, 5})
    cases.push_back(scan_case("nan_after_a_long_step_" + std::to_string(d_state), kEdge,
                              {.d_state = d_state,
                               .dt_spread = 1,
                               .a_log = 4,
                               .rates = {100, kNan, 0.01F, 0.01F, 0.01F}}));
  cases.push_back(scan_case("single_at_0", kEdge, {.segments = one_segment(1, 0), .capacity = 1}));
  cases.push_back(scan_case("single_at_6", kEdge, {.segments = one_segment(1, 6), .capacity = 1}));
  cases.push_back(scan_case("many_states", kEdge,
                            {.d_inner = 65, .d_state = 64, .segments = three_segments()}));
  cases.push_back(scan_case("many_odd_states", kEdge,
                            {.d_inner = 15, .d_state = 99, .segments = three_segments()}));
  cases.push_back(
      scan_case("three_states", kEdge, {.d_inner = 17, .d_state = 3, .segments = long_segments()}));
  cases.push_back(scan_case("long_segments", kEdge, {.segments = long_segments()}));
  cases.push_back(scan_case("longest_segment", kEdge, {.segments = one_segment(512, 0)}));
  // The state hardly decays, so every row contributes about as much as the last row.
  cases.push_back(
      scan_case("long_without_forgetting", kEdge,
                {.segments = long_segments(), .dt_bias = -60, .dt_spread = 10, .a_log = -2}));
  cases.push_back(scan_case("long_with_slow_decay", kEdge,
                            {.segments = long_segments(), .a_log = -4, .a_log_spread = 2}));
  add_full_rank_cases(cases);
  cases.push_back(scan_case("model", kModel | kBench,
                            {.d_inner = 7680, .d_state = 16, .segments = one_segment(4, 100)}));
  return cases;
}

}  // namespace bitaxon::test
