// Compares the gradients of the plain formulas with central differences, in float64.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "cases/op_case.h"
#include "cpu/plain/formulas/adapter.h"
#include "cpu/plain/formulas/add_gated.h"
#include "cpu/plain/formulas/cross_entropy.h"
#include "cpu/plain/formulas/dropout.h"
#include "cpu/plain/formulas/linear.h"
#include "cpu/plain/formulas/rms_norm.h"
#include "cpu/plain/formulas/silu_mul.h"
#include "support/finite_differences.h"

namespace bitaxon::test {
namespace {

namespace formulas = cpu::formulas;
using Doubles = std::vector<double>;

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

Doubles random_doubles(Random& random, std::int64_t n, double spread) {
  Doubles values(size(n));
  for (double& value : values) value = spread * random.uniform(-1, 1);
  return values;
}

TEST(Formulas, RmsNorm) {
  Random random("rms_norm");
  for (const std::int64_t cols : {1, 2, 37, 64})
    for (const double spread : {0.0, 1e-3, 1.0}) {
      Doubles x = random_doubles(random, cols, spread);
      const Doubles norm = random_doubles(random, cols, 1);
      const Doubles g_y = random_doubles(random, cols, 1);
      // A large epsilon keeps the third derivative at a row of zeros small.
      const double eps = 0.5;
      Doubles g_x(x.size());
      formulas::rms_norm_backward(x.data(), norm.data(), eps, g_y.data(), cols, g_x.data());
      expect_gradient("rms_norm", x, g_x, g_y, [&] {
        Doubles y(x.size());
        formulas::rms_norm(x.data(), norm.data(), eps, cols, y.data());
        return y;
      });
    }
}

TEST(Formulas, SiluMul) {
  Random random("silu_mul");
  Doubles gate = random_doubles(random, 37, 4);
  gate[0] = 40;
  gate[1] = -40;
  gate[2] = 0;
  Doubles up = random_doubles(random, 37, 1);
  const Doubles g_y = random_doubles(random, 37, 1);
  Doubles g_gate, g_up;
  for (std::size_t i = 0; i < gate.size(); ++i) {
    const auto slopes = formulas::silu_mul_backward(gate[i], up[i], g_y[i]);
    g_gate.push_back(slopes.gate);
    g_up.push_back(slopes.up);
  }
  const auto forward = [&] {
    Doubles y;
    for (std::size_t i = 0; i < gate.size(); ++i) y.push_back(formulas::silu_mul(gate[i], up[i]));
    return y;
  };
  expect_gradient("gate", gate, g_gate, g_y, forward);
  expect_gradient("up", up, g_up, g_y, forward);
}

TEST(Formulas, AddGated) {
  Random random("add_gated");
  for (const std::int64_t cols : {1, 37}) {
    const Doubles x = random_doubles(random, cols, 1);
    Doubles b = random_doubles(random, cols, 1);
    Doubles gate = {0.3};
    const Doubles g_y = random_doubles(random, cols, 1);
    Doubles g_b(b.size());
    const Doubles g_gate = {
        formulas::add_gated_backward(b.data(), gate[0], g_y.data(), cols, g_b.data())};
    const auto forward = [&] {
      Doubles y(b.size());
      formulas::add_gated(x.data(), b.data(), gate[0], cols, y.data());
      return y;
    };
    expect_gradient("b", b, g_b, g_y, forward);
    expect_gradient("gate", gate, g_gate, g_y, forward);
  }
}

TEST(Formulas, Linear) {
  Random random("linear");
  for (const auto& [rows, cols] : {std::array{1, 1}, {13, 7}, {5, 37}}) {
    const Doubles w = random_doubles(random, rows * cols, 1);
    Doubles x = random_doubles(random, cols, 1);
    const Doubles g_y = random_doubles(random, rows, 1);
    Doubles g_x(x.size());
    for (std::int64_t o = 0; o < rows; ++o)
      formulas::linear_backward(g_y[size(o)], w.data() + o * cols, cols, g_x.data());
    expect_gradient("x", x, g_x, g_y, [&] {
      Doubles y(g_y.size());
      for (std::size_t o = 0; o < y.size(); ++o)
        for (std::size_t c = 0; c < x.size(); ++c) y[o] += w[o * x.size() + c] * x[c];
      return y;
    });
  }
}

TEST(Formulas, CrossEntropy) {
  Random random("cross_entropy");
  for (const std::int64_t n : {1, 2, 37})
    for (const double gap : {-5.0, 0.0, 3.0, 15.0}) {
      Doubles logits = random_doubles(random, n, 2);
      const std::int64_t label = random.below(n);
      logits[size(label)] = 2 + gap;
      Doubles g_logits(logits.size());
      Doubles unused(logits.size());
      const double factor = 0.7;
      formulas::cross_entropy(logits.data(), n, label, factor, g_logits.data());
      // The loss is -factor * log p.
      expect_gradient("logits", logits, g_logits, Doubles{-factor}, [&] {
        return Doubles{formulas::cross_entropy(logits.data(), n, label, 1.0, unused.data())};
      });
    }
}

TEST(Formulas, LogProbabilitiesNearZeroKeepTheirPrecision) {
  Doubles g(2);
  for (const double gap : {15.0, 40.0, 300.0, 700.0}) {
    const Doubles logits = {3 + gap, 3};
    EXPECT_NEAR(
        formulas::cross_entropy(logits.data(), 2, 0, 1.0, g.data()) / -std::log1p(std::exp(-gap)),
        1, 1e-12);
    EXPECT_NEAR(g[0] / (-std::exp(-gap) / (1 + std::exp(-gap))), 1, 1e-12);
  }
}

/// The sizes of an adapter, and what is special about it.
struct AdapterShape {
  std::int64_t n_rows, n_in, n_out, rank;
  bool dora = true;
  bool has_zeros = false;  ///< some m are 0, and some rows of the adapted weight
};

/// A linear layer with an adapter, in float64. Norms are constants.
class AdaptedLayer {
 public:
  explicit AdaptedLayer(const AdapterShape& shape)
      : shape_(shape),
        random_("adapter"),
        x(random_doubles(random_, shape.n_rows * shape.n_in, 1)),
        base(random_doubles(random_, shape.n_rows * shape.n_out, 1)),
        a(random_doubles(random_, shape.n_in * shape.rank, 1)),
        b(random_doubles(random_, shape.rank * shape.n_out, 0.3)),
        m(random_doubles(random_, shape.n_out, 1)),
        g_y(random_doubles(random_, shape.n_rows * shape.n_out, 1)),
        norms_(size(shape.n_out)) {
    for (std::size_t o = 0; o < m.size(); ++o) {
      norms_[o] = random_.uniform(0.5, 2);
      if (shape.has_zeros && o % 3 == 0) m[o] = 0;
      if (shape.has_zeros && o % 3 == 1) norms_[o] = 0;
    }
  }

  formulas::AdapterLayer<double> layer() const {
    return {shape_.n_in,
            shape_.n_out,
            shape_.rank,
            1.5,
            a.data(),
            b.data(),
            shape_.dora ? m.data() : nullptr,
            shape_.dora ? norms_.data() : nullptr};
  }
  Doubles forward() const {
    Doubles y;
    Doubles u(size(shape_.rank));
    for (std::int64_t r = 0; r < shape_.n_rows; ++r) {
      formulas::adapter_inner(layer(), x.data() + r * shape_.n_in, u.data());
      for (std::int64_t o = 0; o < shape_.n_out; ++o)
        y.push_back(layer().factor(o) * formulas::adapter_output(layer(), u.data(),
                                                                 base[size(r * shape_.n_out + o)],
                                                                 o));
    }
    return y;
  }
  void check() {
    Doubles g_a(a.size()), g_b(b.size()), g_m(m.size()), g_x(x.size()), g_base(base.size());
    Doubles u(size(shape_.rank)), t(size(shape_.rank));
    for (std::int64_t r = 0; r < shape_.n_rows; ++r) {
      formulas::adapter_backward_row(
          layer(), x.data() + r * shape_.n_in, base.data() + r * shape_.n_out,
          g_y.data() + r * shape_.n_out, {g_a.data(), g_b.data(), g_m.data()}, u.data(), t.data(),
          g_x.data() + r * shape_.n_in, g_base.data() + r * shape_.n_out);
    }
    const auto y = [&] { return forward(); };
    expect_gradient("x", x, g_x, g_y, y);
    expect_gradient("base", base, g_base, g_y, y);
    expect_gradient("a", a, g_a, g_y, y);
    expect_gradient("b", b, g_b, g_y, y);
    if (!shape_.dora) return;
    // The factor is a constant where the norm is 0.
    expect_gradient("m", m, g_m, g_y, y);
  }

 private:
  AdapterShape shape_;
  Random random_;

 public:
  Doubles x, base, a, b, m, g_y;

 private:
  Doubles norms_;
};

TEST(Formulas, Adapter) {
  for (const AdapterShape& shape :
       {AdapterShape{.n_rows = 3, .n_in = 7, .n_out = 5, .rank = 2},
        AdapterShape{.n_rows = 3, .n_in = 7, .n_out = 5, .rank = 2, .dora = false},
        AdapterShape{.n_rows = 1, .n_in = 1, .n_out = 1, .rank = 1},
        AdapterShape{.n_rows = 2, .n_in = 13, .n_out = 9, .rank = 1},
        AdapterShape{.n_rows = 4, .n_in = 6, .n_out = 10, .rank = 3, .has_zeros = true}})
    AdaptedLayer(shape).check();
}

TEST(Formulas, TheNormOfAnAdaptedRowIsThatOfTheMergedRow) {
  AdaptedLayer adapted({.n_rows = 1, .n_in = 7, .n_out = 5, .rank = 2});
  Random random("norms");
  const Doubles w = random_doubles(random, 5 * 7, 1);
  for (std::int64_t k = 0; k < 5; ++k) {
    double squares = 0;
    for (std::int64_t i = 0; i < 7; ++i) {
      double value = w[size(k * 7 + i)];
      for (std::int64_t j = 0; j < 2; ++j)
        value += 1.5 * adapted.a[size(i * 2 + j)] * adapted.b[size(j * 5 + k)];
      squares += value * value;
    }
    EXPECT_NEAR(formulas::adapted_norm(adapted.layer(), w.data() + k * 7, k), std::sqrt(squares),
                1e-14);
  }
}

TEST(Formulas, Dropout) {
  const DropoutParams params{.p = 0.3F, .index = 2};
  Random random("dropout");
  Doubles x = random_doubles(random, 40, 1);
  const Doubles g_y = random_doubles(random, 40, 1);
  const auto dropped = [&](const Doubles& row) {
    Doubles y(row.size());
    formulas::drop_row(
        params.p, row.data(), std::ssize(row),
        [&](std::int64_t c) { return formulas::is_kept(params, 3, 1, c); }, y.data());
    return y;
  };
  expect_gradient("x", x, dropped(g_y), g_y, [&] { return dropped(x); });
}

TEST(Formulas, DropoutKeepsTheExpectedShareOfElements) {
  const DropoutParams params{.p = 0.3F};
  int kept = 0;
  for (std::int64_t c = 0; c < 40000; ++c) kept += formulas::is_kept(params, 1, 2, c) ? 1 : 0;
  EXPECT_NEAR(kept / 40000.0, 0.7, 0.01);
}

}  // namespace
}  // namespace bitaxon::test
