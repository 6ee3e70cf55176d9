// Compares the gradients of the convolution and of the selective scan with central differences, in
// float64. The kernels of the reference use the same formulas with float32.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "bitaxon/training_ops.h"
#include "cases/errors.h"
#include "cases/op_harness.h"
#include "cpu/plain/formulas/conv.h"
#include "cpu/plain/formulas/rms_norm.h"
#include "cpu/plain/formulas/scan.h"
#include "support/backends.h"
#include "support/finite_differences.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

using namespace cpu::formulas;
using Doubles = std::vector<double>;

Doubles random_doubles(Random& random, std::int64_t n, double spread, double centre = 0) {
  Doubles values(static_cast<std::size_t>(n));
  for (double& value : values) value = centre + spread * random.uniform(-1.732, 1.732);
  return values;
}

/// Where the steps of a sequence of n rows end.
std::vector<std::vector<std::int64_t>> cuts_of(std::int64_t n) {
  std::vector<std::vector<std::int64_t>> cuts = {{n}};
  if (n > 1) cuts.push_back({1, n});
  if (n > 4) cuts.push_back({2, 3, n - 1, n});
  std::vector<std::int64_t> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), std::int64_t{1});
  cuts.push_back(rows);
  return cuts;
}

// --- convolution ------------------------------------------------------------------------------

struct Conv {
  std::int64_t n_rows, n_taps;
  Doubles taps, v, g_u;
  double bias;

  Conv(Random& random, std::int64_t rows, std::int64_t n, double spread)
      : n_rows(rows),
        n_taps(n),
        taps(random_doubles(random, n, 1)),
        v(random_doubles(random, rows, spread)),
        g_u(random_doubles(random, rows, 1)),
        bias(0.3) {}

  ConvChannel<double> channel(std::int64_t first, std::int64_t end, const Doubles& tail) const {
    return {.n_rows = end - first,
            .n_taps = n_taps,
            .taps = taps.data(),
            .bias = bias,
            .v = {v.data() + first},
            .tail = {first == 0 ? nullptr : tail.data()}};
  }
  Doubles u() const {
    Doubles rows(v.size());
    channel(0, n_rows, {}).forward({rows.data()});
    return rows;
  }
  /// The gradient of v, from steps that end at the given rows.
  Doubles gradient(const std::vector<std::int64_t>& ends) const {
    Doubles g_v(v.size());
    Doubles carry(static_cast<std::size_t>(n_taps - 1));
    for (std::size_t i = ends.size(); i-- > 0;) {
      const std::int64_t first = i == 0 ? 0 : ends[i - 1];
      Doubles tail;
      for (std::int64_t row = first - (n_taps - 1); row < first; ++row)
        tail.push_back(row < 0 ? 0 : v[static_cast<std::size_t>(row)]);
      const bool is_last = i + 1 == ends.size();
      Doubles g_a(static_cast<std::size_t>(ends[i] - first + n_taps - 1));
      channel(first, ends[i], tail)
          .backward({g_u.data() + first}, {is_last ? nullptr : carry.data()}, {g_v.data() + first},
                    {first == 0 ? nullptr : carry.data()}, g_a.data());
    }
    return g_v;
  }
};

TEST(ConvGradient, AgreesWithCentralDifferencesForEveryCut) {
  Random random("conv gradient");
  for (const std::int64_t n_taps : {1, 2, 4, 7})
    for (const std::int64_t n_rows : {1, 2, 3, 9})
      for (const double spread : {1.0, 20.0}) {
        Conv conv(random, n_rows, n_taps, spread);
        for (const auto& ends : cuts_of(n_rows))
          expect_gradient("v, " + std::to_string(n_taps) + " taps, " + std::to_string(n_rows) +
                              " rows in " + std::to_string(ends.size()) + " steps",
                          conv.v, conv.gradient(ends), conv.g_u, [&] { return conv.u(); });
      }
}

// --- scan -------------------------------------------------------------------------------------

struct ScanForm {
  std::int64_t n_rows = 5, d_inner = 3, d_state = 2;
  bool full_rank = false, norms = false;
  double dt_min = 0, dt_max = INFINITY;
  Doubles raw = {};  ///< dt before bias and softplus, repeated; empty for random numbers
};

/// A whole scan in float64. The channels are innermost, as in the op.
struct Scan {
  ScanForm form;
  Doubles u, z, b, c, rates, dt, g_y;
  Doubles dt_weight, dt_bias, a_log, skip, b_norm, c_norm;

  Scan(Random& random, const ScanForm& of) : form(of) {
    const std::int64_t rows = of.n_rows, e = of.d_inner, n = of.d_state;
    u = random_doubles(random, rows * e, 1);
    z = random_doubles(random, rows * e, 2);
    b = random_doubles(random, rows * n, 1);
    c = random_doubles(random, rows * n, 1);
    rates = random_doubles(random, rows, 1);
    dt = random_doubles(random, rows * e, 1);
    for (std::size_t i = 0; i < dt.size() && !of.raw.empty(); ++i)
      dt[i] = of.raw[i % of.raw.size()];
    g_y = random_doubles(random, rows * e, 1);
    dt_weight = random_doubles(random, e, 1);
    dt_bias = random_doubles(random, e, of.raw.empty() ? 1 : 0);
    a_log = random_doubles(random, e * n, 1, of.raw.empty() ? 0 : -6);
    skip = random_doubles(random, e, 1);
    b_norm = random_doubles(random, n, 0.3, 1);
    c_norm = random_doubles(random, n, 0.3, 1);
  }

  static constexpr double kEps = 1e-6;

  double raw(std::int64_t t, std::int64_t e) const {
    return form.full_rank
               ? dt[static_cast<std::size_t>(t * form.d_inner + e)]
               : rates[static_cast<std::size_t>(t)] * dt_weight[static_cast<std::size_t>(e)];
  }
  /// B and C of all rows after their norms, [R, 2, N].
  Doubles bc() const {
    Doubles made;
    for (std::int64_t i = 0; i < 2 * form.n_rows; ++i) {
      const double* x = (i % 2 == 0 ? b : c).data() + i / 2 * form.d_state;
      const Doubles& norm = i % 2 == 0 ? b_norm : c_norm;
      const double scale = form.norms ? inverse_rms(x, kEps, form.d_state) : 1;
      for (std::int64_t n = 0; n < form.d_state; ++n)
        made.push_back(form.norms ? norm[static_cast<std::size_t>(n)] * x[n] * scale : x[n]);
    }
    return made;
  }
  ScanChannel<double> channel(std::int64_t e, std::int64_t first, std::int64_t end,
                              const Doubles& of_bc, const double* h) const {
    const auto at = [&](const Doubles& rows) {
      return ChannelRows<const double>{rows.data() + first * form.d_inner + e, form.d_inner};
    };
    return {.n_rows = end - first,
            .n_states = form.d_state,
            .a_log = a_log.data() + e * form.d_state,
            .dt_bias = dt_bias[static_cast<std::size_t>(e)],
            .skip = skip[static_cast<std::size_t>(e)],
            .dt_min = form.dt_min,
            .dt_max = form.dt_max,
            .u = at(u),
            .z = at(z),
            .bc = of_bc.data() + first * 2 * form.d_state,
            .bc_stride = 2 * form.d_state,
            .h = {h}};
  }
  Doubles y() const {
    const Doubles of_bc = bc();
    Doubles rows(u.size());
    Doubles states(static_cast<std::size_t>((form.n_rows + 1) * form.d_state));
    for (std::int64_t e = 0; e < form.d_inner; ++e)
      channel(e, 0, form.n_rows, of_bc, nullptr)
          .forward([&](std::int64_t t) { return raw(t, e); }, states.data(),
                   {rows.data() + e, form.d_inner});
    return rows;
  }

  struct Gradients {
    Doubles u, z, b, c, rates, dt;
  };
  Gradients gradients(const std::vector<std::int64_t>& ends) const;
};

Scan::Gradients Scan::gradients(const std::vector<std::int64_t>& ends) const {
  const std::int64_t n = form.d_state;
  const Doubles of_bc = bc();
  Gradients g{Doubles(u.size()), Doubles(u.size()),     Doubles(b.size()),
              Doubles(c.size()), Doubles(rates.size()), Doubles(dt.size())};
  Doubles g_bc(of_bc.size());
  for (std::int64_t e = 0; e < form.d_inner; ++e) {
    // The states before each step, as the forward pass leaves them.
    Doubles all(static_cast<std::size_t>((form.n_rows + 1) * n));
    const auto raw_of = [&](std::int64_t t) { return raw(t, e); };
    channel(e, 0, form.n_rows, of_bc, nullptr).compute_states(raw_of, all.data());
    Doubles carry(static_cast<std::size_t>(n));
    for (std::size_t i = ends.size(); i-- > 0;) {
      const std::int64_t first = i == 0 ? 0 : ends[i - 1];
      Doubles states(all.size());
      Doubles g_raw(static_cast<std::size_t>(ends[i] - first));
      const auto rows = [&](Doubles& of) {
        return ChannelRows<double>{of.data() + first * form.d_inner + e, form.d_inner};
      };
      channel(e, first, ends[i], of_bc, first == 0 ? nullptr : all.data() + first * n)
          .backward([&](std::int64_t t) { return raw(first + t, e); },
                    {g_y.data() + first * form.d_inner + e, form.d_inner}, carry.data(),
                    states.data(),
                    {rows(g.u), rows(g.z), g_raw.data(), g_bc.data() + first * 2 * n, 2 * n});
      for (std::size_t t = 0; t < g_raw.size(); ++t) {
        const auto row = static_cast<std::size_t>(first) + t;
        g.rates[row] += g_raw[t] * dt_weight[static_cast<std::size_t>(e)];
        g.dt[row * static_cast<std::size_t>(form.d_inner) + static_cast<std::size_t>(e)] = g_raw[t];
      }
    }
  }
  for (std::int64_t i = 0; i < 2 * form.n_rows; ++i) {
    const bool is_b = i % 2 == 0;
    double* to = (is_b ? g.b : g.c).data() + i / 2 * n;
    std::copy_n(g_bc.data() + i * n, n, to);
    if (form.norms)
      rms_norm_backward((is_b ? b : c).data() + i / 2 * n, (is_b ? b_norm : c_norm).data(), kEps,
                        to, n, to);
  }
  return g;
}

void check_scan(Random& random, const ScanForm& form, const std::string& what) {
  Scan scan(random, form);
  const auto y = [&] { return scan.y(); };
  for (const auto& ends : cuts_of(form.n_rows)) {
    const Scan::Gradients g = scan.gradients(ends);
    const std::string in = what + " in " + std::to_string(ends.size()) + " steps: ";
    expect_gradient(in + "u", scan.u, g.u, scan.g_y, y);
    expect_gradient(in + "z", scan.z, g.z, scan.g_y, y);
    expect_gradient(in + "B", scan.b, g.b, scan.g_y, y);
    expect_gradient(in + "C", scan.c, g.c, scan.g_y, y);
    if (form.full_rank)
      expect_gradient(in + "dt", scan.dt, g.dt, scan.g_y, y);
    else
      expect_gradient(in + "r", scan.rates, g.rates, scan.g_y, y);
  }
}

TEST(ScanGradient, AgreesWithCentralDifferencesForEveryCut) {
  Random random("scan gradient");
  for (const std::int64_t n_rows : {1, 2, 9})
    for (const std::int64_t d_state : {2, 3})
      for (const bool full_rank : {false, true})
        for (const bool norms : {false, true})
          check_scan(random,
                     {.n_rows = n_rows, .d_state = d_state, .full_rank = full_rank, .norms = norms},
                     std::to_string(n_rows) + " rows, " + std::to_string(d_state) + " states" +
                         (full_rank ? ", full rank" : "") + (norms ? ", norms" : ""));
}

TEST(ScanGradient, PassesThroughTheClipOnlyStrictlyInside) {
  Random random("scan clip");
  // Below the clip, inside and above, in turn.
  check_scan(
      random,
      {.n_rows = 7, .full_rank = true, .dt_min = 1e-4, .dt_max = 2, .raw = {-12, -3, 0.5, 1.5, 5}},
      "clip");
  // A time step at a bound has no gradient, although it has a one-sided derivative.
  Scan scan(random,
            {.n_rows = 1, .d_inner = 2, .full_rank = true, .dt_max = 100, .raw = {100, 99}});
  const Scan::Gradients g = scan.gradients({1});
  EXPECT_EQ(g.dt[0], 0);
  EXPECT_NE(g.dt[1], 0);
}

TEST(ScanGradient, StaysFiniteForSaturatedGates) {
  Random random("scan gates");
  Scan scan(random, {});
  for (std::size_t i = 0; i < scan.z.size(); ++i) scan.z[i] = i % 2 == 0 ? 40 : -40;
  expect_gradient("z", scan.z, scan.gradients({5}).z, scan.g_y, [&] { return scan.y(); });
}

/// The rows of an input of a problem, as float64.
Doubles input_of(const OpProblem& p, std::size_t input) {
  Doubles values;
  for (std::int64_t r = 0; r < p.valid_rows(RowSpace::rows); ++r)
    for (const float x : input_row(p, input, r)) values.push_back(static_cast<double>(x));
  return values;
}
Doubles weight_of(const OpProblem& p, std::size_t weight) {
  const std::vector<float> values = values_of(p.weights()[weight]);
  return {values.begin(), values.end()};
}
std::vector<float> result_of(const OpRun& run, std::size_t result) {
  std::vector<float> values(run.results[result].bytes.size() / sizeof(float));
  std::memcpy(values.data(), run.results[result].bytes.data(), run.results[result].bytes.size());
  return values;
}
std::vector<float> floats(const Doubles& values) { return {values.begin(), values.end()}; }

/// One case of selective_scan_backward at position 0, in float64.
TEST(ScanGradient, TheReferenceUsesTheFormulasWithNormsAndFullRank) {
  OpProblem p("scan reference");
  const std::int64_t e = 7, n = 3, before = 2;
  const CaseSegment segment{.n_rows = 6, .keeps_state = false};
  p.set_step(std::span(&segment, 1));
  for (const std::int64_t cols : {e, before + 2 * n, e, e, e}) p.add_input(cols, 1);
  p.add_weight(Format::f32, {1, 1, e}, 1);
  p.add_weight(Format::f32, {1, e, n}, 1);
  p.add_weight(Format::f32, {1, 1, e}, 1);
  p.add_weight(Format::f32, {1, 1, n}, 0.3, 1);
  p.add_weight(Format::f32, {1, 1, n}, 0.3, 1);
  p.add_state(DType::f32, {n, e});
  p.add_carry({n, e}, 1);
  const SelectiveScanOptions options{.clip = TimeStepClip{0.3F, 2}, .eps = 1e-6F};
  p.record = [&](const OpHandles& h) -> std::vector<Tensor> {
    const SelectiveScanWeights weights{.dt_bias = h.weights[0],
                                       .a_log = h.weights[1],
                                       .skip = h.weights[2],
                                       .b_norm = h.weights[3],
                                       .c_norm = h.weights[4]};
    const auto g = selective_scan_backward(h.inputs[0], h.inputs[1], h.inputs[2], h.inputs[3],
                                           weights, options, h.states[0], h.inputs[4], h.states[1]);
    return {g.u, g.params, g.z, g.dt};
  };
  const OpRun run = run_op(reference_backend(), p);

  Random random("unused");
  Scan scan(random, {.n_rows = 6,
                     .d_inner = e,
                     .d_state = n,
                     .full_rank = true,
                     .norms = true,
                     .dt_min = static_cast<double>(0.3F),
                     .dt_max = 2});
  scan.u = input_of(p, 0);
  scan.dt = input_of(p, 2);
  scan.z = input_of(p, 3);
  scan.g_y = input_of(p, 4);
  scan.dt_bias = weight_of(p, 0);
  scan.a_log = weight_of(p, 1);
  scan.skip = weight_of(p, 2);
  scan.b_norm = weight_of(p, 3);
  scan.c_norm = weight_of(p, 4);
  const Doubles params = input_of(p, 1);
  for (std::int64_t r = 0; r < 6; ++r)
    for (std::int64_t i = 0; i < n; ++i) {
      const double* row = params.data() + r * (before + 2 * n) + before;
      scan.b[static_cast<std::size_t>(r * n + i)] = row[i];
      scan.c[static_cast<std::size_t>(r * n + i)] = row[n + i];
    }
  const Scan::Gradients g = scan.gradients({6});
  Doubles g_params;
  for (std::size_t r = 0; r < 6; ++r) {
    g_params.insert(g_params.end(), before, 0.0);
    for (const Doubles& part : {g.b, g.c})
      g_params.insert(g_params.end(), part.begin() + static_cast<std::ptrdiff_t>(r) * n,
                      part.begin() + static_cast<std::ptrdiff_t>(r + 1) * n);
  }
  expect_close(result_of(run, 0), floats(g.u), 6, 1e-6, "u");
  expect_close(result_of(run, 1), floats(g_params), 6, 1e-6, "params");
  expect_close(result_of(run, 2), floats(g.z), 6, 1e-6, "z");
  expect_close(result_of(run, 3), floats(g.dt), 6, 1e-6, "dt");
}

}  // namespace
}  // namespace bitaxon::test
