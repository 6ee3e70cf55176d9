#include "cases/scan_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "cases/errors.h"

namespace bitaxon::test {
namespace {

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
  ScanErrors(const OpProblem& p, const ScanSpec& spec, const Parts& parts)
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
  const ScanSpec& spec_;
  Parts parts_;
  std::int64_t d_inner_, d_state_;
  std::vector<float> dt_weight_, dt_bias_, a_log_, skip_, b_norm_, c_norm_;
};

/// Adds the inputs, the weights and the state. With a time step of rank 1, `params` is B, C and r.
Parts add_parts(OpProblem& p, const ScanSpec& spec) {
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

void build(OpProblem& p, const ScanSpec& spec) {
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

}  // namespace

OpCase scan_case(std::string label, unsigned tags, ScanSpec spec) {
  return {std::move(label),
          tags,
          {0, "the float32 recurrence, row by row", spec.nan || !spec.rates.empty()},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

}  // namespace bitaxon::test
