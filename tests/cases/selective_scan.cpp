#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "cases/errors.h"

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
  double dt_bias = -3;  ///< softplus makes 0.05 of the value -3
  double dt_spread = 1;
  double a_log = 0.5;
  double a_log_spread = 1;
  /// Whether the time step has full rank: it is an input of the op. Then `params` may have columns
  /// before B.
  bool full_rank = false;
  std::int64_t columns_before = 0;
  double params_spread = 1;
  bool norms = false;
  float eps = 1e-6F;  ///< of the norms
  std::optional<TimeStepClip> clip = TimeStepClip{1e-4F, 100};
  /// Whether the input has NaN: in one channel from row 1 on, in all channels from row 4 on. With
  /// full rank, dt also has NaN in another channel from row 2 on.
  bool nan = false;
  /// The values of r in the first rows. A NaN in r makes all channels NaN from its row on. Later
  /// rows have random values.
  std::vector<float> rates = {};
};

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Element {
  std::int64_t row, col;
  float value;
};

/// Adds an input of random rows with `cols` columns, in which the given elements have given values.
std::size_t add_input_with(OpProblem& p, std::int64_t cols, double spread,
                           const std::vector<Element>& elements) {
  std::vector<float> values(static_cast<std::size_t>(p.valid_rows(RowSpace::rows) * cols));
  for (float& value : values) value = p.random().centred(spread);
  for (const Element& at : elements)
    values[static_cast<std::size_t>(at.row * cols + at.col)] = at.value;
  return p.add_input<float>(std::array{cols}, values);
}

/// Indexes of the inputs, weights and states of a case. The optional ones are 0 if they are absent.
struct Parts {
  std::size_t u, params, z, dt, dt_weight, dt_bias, a_log, skip, b_norm, c_norm, h;
};

/// The value of one state of one channel, and its accumulated errors. Both are carried from row to
/// row.
struct Carried {
  double value = 0;
  double worst = 0;
  double noise2 = 0;
  /// The errors that exp and other functions cause in the decay and in the input. They may have the
  /// same sign in every row.
  double lean_of_decay = 0, lean_of_input = 0;

  Rounded rounded() const {
    return {value, worst, std::abs(lean_of_decay) + std::abs(lean_of_input), std::sqrt(noise2)};
  }
  /// Computes h = exp(power) * h + input * b. Kernels compute exp(power) - 1 with a relative error,
  /// multiply it by h, and add the product to h. A decay factor near 1 thus has almost no error.
  void advance(const Rounded& power, const Rounded& input, const Rounded& b);
};

void Carried::advance(const Rounded& power, const Rounded& input, const Rounded& b) {
  const auto square = [](double x) { return x * x; };
  const double decay = std::exp(power.value);
  // The error of the decay has two parts, and both are bounded: the error of exp itself (6e-7 in
  // exp2_of_rest), and the error of its argument.
  const double own = 5 * kUlp * std::min(decay, std::abs(std::expm1(power.value)));
  const double grown = decay * std::exp(std::min(power.worst, 50.0));
  const double decay_worst = own + grown - decay;
  const double decay_bias = own + decay * power.bias;
  const Rounded gain = input * b;
  const double before = value;
  value = decay * before + gain.value;
  // A kernel rounds the product (exp(power) - 1) * h, the sum of this product and input * b, and
  // the new h. The reference rounds h once more, when it stores h.
  const double change = std::expm1(power.value) * before;
  const double sizes[] = {change, change + gain.value, value, value};
  double roundings = 0, roundings2 = 0;
  for (const double size : sizes) {
    roundings += kRounding * std::abs(size);
    roundings2 += square(kRounding * size) / 3;
  }
  worst = grown * worst + std::abs(before) * decay_worst + gain.worst + roundings;
  noise2 = square(decay) * noise2 + square(before * decay * power.noise) +
           square(before * decay_bias) / 3 + square(gain.noise) + square(gain.bias) / 3 +
           roundings2;
  lean_of_decay = decay * lean_of_decay + before * decay_bias;
  lean_of_input = decay * lean_of_input + (gain.value < 0 ? -gain.bias : gain.bias);
}

/// Evaluates the formula of the op with its errors, row by row, for all channels and states.
class ScanErrors {
 public:
  ScanErrors(const OpProblem& p, const Spec& spec, const Parts& parts)
      : p_(p), spec_(spec), parts_(parts), d_inner_(spec.d_inner), d_state_(spec.d_state) {
    const auto weight = [&](std::size_t i) { return values_of(p.weights()[i]); };
    if (!spec.full_rank) dt_weight_ = weight(parts.dt_weight);
    if (spec.norms) {
      b_norm_ = weight(parts.b_norm);
      c_norm_ = weight(parts.c_norm);
    }
    dt_bias_ = weight(parts.dt_bias);
    a_log_ = weight(parts.a_log);
    skip_ = weight(parts.skip);
  }

  /// The allowed errors of y, then those of h for each segment.
  ResultErrors all() const {
    ResultErrors errors(1);
    for (const SegmentWords& segment : p_.segments()) {
      std::vector<Carried> h = begin(segment);
      for (std::uint32_t i = 0; i < segment.n_rows; ++i)
        for (const Rounded& y : advance(segment.first_row + i, h))
          errors[0].push_back(allowed_of(y));
      if (segment.keeps_state == 0) continue;
      std::vector<double>& kept = errors.emplace_back();
      for (const Carried& state : h) kept.push_back(state.rounded().allowed());
    }
    return errors;
  }

 private:
  std::vector<Carried> begin(const SegmentWords& segment) const {
    std::vector<Carried> h(static_cast<std::size_t>(d_state_ * d_inner_));
    if (segment.position == 0) return h;
    const auto* from = reinterpret_cast<const float*>(
        p_.state_bytes(parts_.h, segment.slot, segment.read_version));
    for (std::size_t i = 0; i < h.size(); ++i) h[i].value = static_cast<double>(from[i]);
    return h;
  }

  Rounded step(std::int64_t row, std::int64_t e) const {
    const auto at = static_cast<std::size_t>(e);
    const Rounded bias{static_cast<double>(dt_bias_[at])};
    Rounded raw;
    if (spec_.full_rank)
      raw = Rounded{static_cast<double>(input_row(p_, parts_.dt, row)[at])} + bias;
    else
      raw = Rounded{static_cast<double>(input_row(p_, parts_.params, row).back())} *
                Rounded{static_cast<double>(dt_weight_[at])} +
            bias;
    const auto clipped = [&](double x) {
      const double softplus = x > 30 ? x : std::log1p(std::exp(x));
      if (!spec_.clip) return softplus;
      return std::clamp(softplus, static_cast<double>(spec_.clip->least),
                        static_cast<double>(spec_.clip->most));
    };
    // The errors of an exponential, of a logarithm (which takes a division and a series), and of a
    // sum.
    return function(clipped, raw, (kExpUlps + 2.5 + 2.5) * kUlp);
  }

  /// B or C of a row. `part` is 0 for B and 1 for C.
  std::vector<Rounded> b_or_c(std::int64_t row, std::int64_t part) const {
    const auto first = (spec_.full_rank ? spec_.columns_before : 0) + part * d_state_;
    const auto values =
        input_row(p_, parts_.params, row)
            .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(d_state_));
    NormedRow made = normed(values, part == 0 ? b_norm_ : c_norm_, static_cast<double>(spec_.eps));
    if (made.scale)
      for (Rounded& x : made.x) x = x * *made.scale;
    return made.x;
  }

  /// Advances the states of all channels by one row, and returns y for this row.
  std::vector<Rounded> advance(std::int64_t row, std::vector<Carried>& h) const {
    const std::vector<Rounded> b = b_or_c(row, 0);
    const std::vector<Rounded> c = b_or_c(row, 1);
    std::vector<Rounded> y;
    for (std::int64_t e = 0; e < d_inner_; ++e) y.push_back(advance(row, e, b, c, h));
    return y;
  }

  /// Advances the states of channel e by one row, and returns y for this row.
  Rounded advance(std::int64_t row, std::int64_t e, std::span<const Rounded> b,
                  std::span<const Rounded> c, std::vector<Carried>& h) const {
    const auto at = static_cast<std::size_t>(e);
    const Rounded u{static_cast<double>(input_row(p_, parts_.u, row)[at])};
    const Rounded dt = step(row, e);
    const Rounded input = dt * u;
    Sum sum;
    sum.add(u * Rounded{static_cast<double>(skip_[at])});
    for (std::int64_t n = 0; n < d_state_; ++n) {
      const Rounded log{static_cast<double>(a_log_[static_cast<std::size_t>(e * d_state_ + n)])};
      const Rounded rate =
          function([](double x) { return -std::exp(x); }, log, (kExpUlps + 1) * kUlp);
      Carried& state = h[static_cast<std::size_t>(n * d_inner_ + e)];
      const auto column = static_cast<std::size_t>(n);
      state.advance(dt * rate, input, b[column]);
      sum.add(state.rounded() * c[column]);
    }
    return sum.result() * silu_of({static_cast<double>(input_row(p_, parts_.z, row)[at])});
  }

  const OpProblem& p_;
  const Spec& spec_;
  Parts parts_;
  std::int64_t d_inner_, d_state_;
  std::vector<float> dt_weight_, dt_bias_, a_log_, skip_, b_norm_, c_norm_;
};

/// Adds the inputs, the weights and the state. With a time step of rank 1, `params` is B, C and r.
Parts add_parts(OpProblem& p, const Spec& spec) {
  const std::int64_t e = spec.d_inner;
  const std::int64_t n = spec.d_state;
  const std::int64_t first_b = spec.full_rank ? spec.columns_before : 0;
  std::vector<Element> of_u, of_params, of_dt;
  if (spec.nan) {
    of_u.push_back({1, 2, kNan});
    of_params.push_back({4, spec.full_rank ? first_b : 2 * n, kNan});
    of_dt.push_back({2, 3, kNan});
  }
  for (const float rate : spec.rates) of_params.push_back({std::ssize(of_params), 2 * n, rate});
  const std::int64_t width = spec.full_rank ? first_b + 2 * n : 2 * n + 1;
  Parts parts{};
  parts.u = add_input_with(p, e, spec.u_spread, of_u);
  parts.params = add_input_with(p, width, spec.params_spread, of_params);
  parts.z = p.add_input(e, spec.z_spread);
  if (spec.full_rank)
    parts.dt = add_input_with(p, e, spec.dt_spread, of_dt);
  else
    parts.dt_weight = p.add_weight(spec.format, {1, e, 1}, spec.dt_spread);
  parts.dt_bias = p.add_weight(spec.format, {1, 1, e}, spec.dt_spread, spec.dt_bias);
  parts.a_log = p.add_weight(spec.format, {1, e, n}, spec.a_log_spread, spec.a_log);
  parts.skip = p.add_weight(spec.format, {1, 1, e}, 1);
  if (spec.norms) {
    parts.b_norm = p.add_weight(spec.format, {1, 1, n}, 0.3, 1);
    parts.c_norm = p.add_weight(spec.format, {1, 1, n}, 0.3, 1);
  }
  parts.h = p.add_state(DType::f32, {n, e});
  p.fill_state(parts.h, spec.u_spread);
  return parts;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const Parts parts = add_parts(p, spec);
  p.errors = [=](const OpProblem& problem) { return ScanErrors(problem, spec, parts).all(); };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {selective_scan(h.inputs[parts.u], h.inputs[parts.params],
                           spec.full_rank ? h.inputs[parts.dt] : Tensor(), h.inputs[parts.z],
                           {.dt_weight = spec.full_rank ? Tensor() : h.weights[parts.dt_weight],
                            .dt_bias = h.weights[parts.dt_bias],
                            .a_log = h.weights[parts.a_log],
                            .skip = h.weights[parts.skip],
                            .b_norm = spec.norms ? h.weights[parts.b_norm] : Tensor(),
                            .c_norm = spec.norms ? h.weights[parts.c_norm] : Tensor()},
                           {.clip = spec.clip, .eps = spec.eps}, h.states[parts.h])};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "the float32 recurrence, row by row", spec.nan || !spec.rates.empty()},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

/// A time step of full rank without a clip, as in Mamba.
Spec full_rank(Spec spec) {
  spec.full_rank = true;
  spec.clip = {};
  return spec;
}

/// The same with norms of B and C, as in Jamba.
Spec full_rank_normed(Spec spec) {
  spec.norms = true;
  return full_rank(std::move(spec));
}

/// Cases with a time step of full rank, with norms, and with other clips.
void add_full_rank_cases(std::vector<OpCase>& cases) {
  for (std::uint32_t n : {1U, 2U, 5U, 17U, 33U}) {
    const std::string rows = "_rows_" + std::to_string(n);
    const auto segments = one_segment(n, n % 2 == 0 ? 0 : 3);
    const unsigned tags = n == 2 || n == 17 ? kEdge | kExhaustive : kEdge;
    cases.push_back(make("full_rank" + rows, tags,
                         full_rank({.d_inner = 65, .d_state = 16, .segments = segments})));
    cases.push_back(
        make("full_rank_normed" + rows, tags,
             full_rank_normed({.d_state = 16, .segments = segments, .columns_before = 7})));
    cases.push_back(
        make("full_rank_odd_sizes" + rows, tags,
             full_rank_normed(
                 {.d_inner = 13, .d_state = 5, .segments = segments, .columns_before = 3})));
  }
  for (Format format : {Format::f16, Format::bf16})
    cases.push_back(make("full_rank_format_" + std::string(name_of(format)), kEdge,
                         full_rank_normed({.format = format, .columns_before = 5})));
  cases.push_back(
      make("full_rank_segments", kEdge,
           full_rank({.d_state = 16, .segments = three_segments(), .columns_before = 48})));
  cases.push_back(make("full_rank_single", kEdge,
                       full_rank_normed({.d_inner = 33,
                                         .d_state = 16,
                                         .segments = one_segment(1, 6),
                                         .capacity = 1,
                                         .columns_before = 9})));
  // The time steps are between 1e-12 and 1e-4.
  cases.push_back(make("full_rank_small_dt", kEdge,
                       full_rank({.d_state = 16,
                                  .segments = three_segments(),
                                  .dt_bias = -17,
                                  .dt_spread = 2,
                                  .a_log = 4})));
  // The time steps are between 20 and 60, and some are above 100.
  for (double dt_bias : {40.0, 100.0})
    cases.push_back(make(fmt::format("full_rank_dt_near_{}", dt_bias), kEdge,
                         full_rank({.d_state = 16,
                                    .segments = three_segments(),
                                    .dt_bias = dt_bias,
                                    .dt_spread = 6,
                                    .a_log = -5})));
  cases.push_back(make("full_rank_softplus_overflows_exp", kEdge,
                       full_rank({.dt_bias = 0, .dt_spread = 1e4, .a_log = -9})));
  cases.push_back(make("full_rank_forgets_at_once", kEdge,
                       full_rank({.d_state = 16, .segments = one_segment(33, 3), .a_log = 8})));
  Spec clipped = full_rank({.d_state = 16, .dt_spread = 3, .columns_before = 2});
  clipped.clip = TimeStepClip{0.01F, 0.1F};
  cases.push_back(make("full_rank_clipped", kEdge, clipped));
  cases.push_back(make("rank_one_without_clip", kEdge,
                       {.segments = three_segments(), .dt_bias = -14, .clip = {}}));
  cases.push_back(make("rank_one_normed", kEdge,
                       {.d_inner = 13, .d_state = 5, .segments = three_segments(), .norms = true}));
  cases.push_back(make("full_rank_eps_dominates", kEdge,
                       full_rank_normed({.params_spread = 1e-3, .eps = 0.1F})));
  cases.push_back(make("full_rank_zero_b_and_c", kEdge, full_rank_normed({.params_spread = 0})));
  cases.push_back(make("full_rank_nan_stays", kEdge,
                       full_rank_normed({.segments = three_segments(), .nan = true})));
  cases.push_back(
      make("full_rank_long_segments", kEdge,
           full_rank_normed({.d_state = 16, .segments = long_segments(), .columns_before = 3})));
  cases.push_back(make("full_rank_longest_segment", kEdge,
                       full_rank({.segments = one_segment(512, 0), .columns_before = 1})));
  cases.push_back(make("full_rank_long_small_dt", kEdge | kExhaustive,
                       full_rank({.d_state = 16,
                                  .segments = long_segments(),
                                  .dt_bias = -17,
                                  .dt_spread = 2,
                                  .a_log = 3})));
  for (std::int64_t d_state : {1, 3, 99, 256})
    cases.push_back(make(fmt::format("full_rank_{}_states", d_state), kEdge,
                         full_rank_normed({.d_inner = 17,
                                           .d_state = d_state,
                                           .segments = three_segments(),
                                           .columns_before = 4})));
  cases.push_back(make("full_rank_model", kModel | kBench,
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
        make("format_" + std::string(name_of(format)), tags_of(format), {.format = format}));
  for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
    for (std::uint32_t position : {0U, 6U})
      cases.push_back(make("rows_" + std::to_string(n) + "_at_" + std::to_string(position), kPlain,
                           {.segments = one_segment(n, position)}));
  // These cases have 16 states, as the models do, because vectorized kernels keep 16 states in
  // registers. Most of them have enough rows for several blocks of a kernel.
  for (std::uint32_t n : {1U, 2U, 17U, 33U})
    for (std::int64_t d_inner : {48, 65})
      cases.push_back(make(
          fmt::format("sixteen_states_{}_rows_{}", d_inner, n), kPlain,
          {.d_inner = d_inner, .d_state = 16, .segments = one_segment(n, n % 2 == 0 ? 0 : 3)}));
  cases.push_back(make("sixteen_states_segments", kEdge,
                       {.d_inner = 65, .d_state = 16, .segments = long_segments()}));
  cases.push_back(make("sixteen_states_forget_at_once", kEdge,
                       {.d_state = 16, .segments = one_segment(33, 3), .a_log = 8}));
  cases.push_back(make("sixteen_states_decay_slowly", kEdge,
                       {.d_state = 16,
                        .segments = one_segment(512, 0),
                        .capacity = 512,
                        .a_log = -4,
                        .a_log_spread = 2}));
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
      make("single_ending", kEdge,
           {.d_state = 16, .segments = {{.position = 6, .keeps_state = false}}, .capacity = 1}));
  cases.push_back(make("dt_below_lower_clip", kEdge,
                       {.segments = three_segments(), .dt_bias = -60, .dt_spread = 10}));
  cases.push_back(make("dt_around_lower_clip", kEdge,
                       {.segments = three_segments(), .dt_bias = -9.21, .dt_spread = 0.3}));
  // The size of the decay rate a is near exp(-6) = 2.5e-3, so exp(100 a) is neither 0 nor 1.
  cases.push_back(
      make("dt_above_upper_clip", kEdge,
           {.segments = three_segments(), .dt_bias = 500, .dt_spread = 10, .a_log = -6}));
  cases.push_back(
      make("dt_around_upper_clip", kEdge,
           {.segments = three_segments(), .dt_bias = 100, .dt_spread = 3, .a_log = -6}));
  cases.push_back(
      make("softplus_overflows_exp", kEdge, {.dt_bias = 0, .dt_spread = 1e4, .a_log = -6}));
  cases.push_back(make("forgets_at_once", kEdge, {.a_log = 8}));
  cases.push_back(make("forgets_nothing", kEdge, {.a_log = -40}));
  cases.push_back(make("gate_saturated", kEdge, {.z_spread = 200}));
  cases.push_back(make("large_values", kEdge, {.segments = three_segments(), .u_spread = 1e15}));
  cases.push_back(make("tiny_values", kEdge, {.segments = three_segments(), .u_spread = 1e-15}));
  cases.push_back(make("nan_stays", kEdge, {.segments = three_segments(), .nan = true}));
  // For several rows at once, vectorized kernels bound the product of time step and decay rate by
  // that of the largest time step. This bound must not hide a NaN that follows a large time step.
  for (const std::int64_t d_state : {16, 5})
    cases.push_back(make("nan_after_a_long_step_" + std::to_string(d_state), kEdge,
                         {.d_state = d_state,
                          .dt_spread = 1,
                          .a_log = 4,
                          .rates = {100, kNan, 0.01F, 0.01F, 0.01F}}));
  cases.push_back(make("single_at_0", kEdge, {.segments = one_segment(1, 0), .capacity = 1}));
  cases.push_back(make("single_at_6", kEdge, {.segments = one_segment(1, 6), .capacity = 1}));
  cases.push_back(
      make("many_states", kEdge, {.d_inner = 65, .d_state = 64, .segments = three_segments()}));
  cases.push_back(
      make("many_odd_states", kEdge, {.d_inner = 15, .d_state = 99, .segments = three_segments()}));
  cases.push_back(
      make("three_states", kEdge, {.d_inner = 17, .d_state = 3, .segments = long_segments()}));
  cases.push_back(make("long_segments", kEdge, {.segments = long_segments()}));
  cases.push_back(make("longest_segment", kEdge, {.segments = one_segment(512, 0)}));
  // The state hardly decays, so every row contributes about as much as the last row.
  cases.push_back(
      make("long_without_forgetting", kEdge,
           {.segments = long_segments(), .dt_bias = -60, .dt_spread = 10, .a_log = -2}));
  cases.push_back(make("long_with_slow_decay", kEdge,
                       {.segments = long_segments(), .a_log = -4, .a_log_spread = 2}));
  add_full_rank_cases(cases);
  cases.push_back(make("model", kModel | kBench,
                       {.d_inner = 7680, .d_state = 16, .segments = one_segment(4, 100)}));
  return cases;
}

}  // namespace bitaxon::test
