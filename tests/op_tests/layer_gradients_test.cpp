// Compares the gradients of attention, of turned heads and of the router with central differences,
// in float64. The kernels of the reference use the same formulas with float32.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cases/op_case.h"
#include "cpu/plain/formulas/attention.h"
#include "cpu/plain/formulas/heads.h"
#include "cpu/plain/formulas/router.h"
#include "support/finite_differences.h"

namespace bitaxon::test {
namespace {

using namespace cpu::formulas;
using Doubles = std::vector<double>;

Doubles random_doubles(Random& random, std::int64_t n, double spread, double centre = 0) {
  Doubles values(static_cast<std::size_t>(n));
  for (double& value : values) value = centre + spread * random.uniform(-1.732, 1.732);
  return values;
}

// --- attention --------------------------------------------------------------------------------

struct Attention {
  std::int64_t n_rows, head_dim, n_heads, n_kv_heads, window;
  Doubles q, k, v, g_y;

  Attention(Random& random, std::int64_t rows, std::int64_t d, std::int64_t heads,
            std::int64_t kv_heads, std::int64_t of_window)
      : n_rows(rows),
        head_dim(d),
        n_heads(heads),
        n_kv_heads(kv_heads),
        window(of_window),
        q(random_doubles(random, rows * heads * d, 1)),
        k(random_doubles(random, rows * kv_heads * d, 1)),
        v(random_doubles(random, rows * kv_heads * d, 1)),
        g_y(random_doubles(random, rows * heads * d, 1)) {}

  std::int64_t place(std::int64_t row, std::int64_t head) const {
    return (row * n_heads + head) * head_dim;
  }
  AttentionRow<double> row(std::int64_t r, std::int64_t head) const {
    const std::int64_t first = window == 0 ? 0 : std::max<std::int64_t>(0, r + 1 - window);
    return {head_dim, first, r, q.data() + place(r, head)};
  }
  /// Element c of a head at position j.
  auto rows_of(const Doubles& pages, std::int64_t head) const {
    const std::int64_t kv_head = head / (n_heads / n_kv_heads);
    return [this, kv_head, data = pages.data()](std::int64_t j, std::int64_t c) {
      return data[(j * n_kv_heads + kv_head) * head_dim + c];
    };
  }
  template <class Act>
  void for_each_head(const Act& act) const {
    for (std::int64_t r = 0; r < n_rows; ++r)
      for (std::int64_t head = 0; head < n_heads; ++head) act(r, head);
  }
  Doubles y() const {
    Doubles made(q.size());
    for_each_head([&](std::int64_t r, std::int64_t head) {
      row(r, head).forward(rows_of(k, head), rows_of(v, head), made.data() + place(r, head));
    });
    return made;
  }

  struct Gradients {
    Doubles q, k, v;
  };
  Gradients gradients() const {
    Gradients g{Doubles(q.size()), Doubles(k.size()), Doubles(v.size())};
    const Doubles of_y = y();
    Doubles sums(static_cast<std::size_t>(head_dim));
    for_each_head([&](std::int64_t r, std::int64_t head) {
      const AttentionRow<double> of = row(r, head);
      const auto key = rows_of(k, head);
      const auto value = rows_of(v, head);
      const double* g_of_y = g_y.data() + place(r, head);
      double along = 0;
      for (std::int64_t c = 0; c < head_dim; ++c)
        along += g_of_y[c] * of_y[static_cast<std::size_t>(place(r, head) + c)];
      const auto softmax = of.softmax(key);
      of.backward_q(softmax, key, value, g_of_y, along, sums.data(), g.q.data() + place(r, head));
      const std::int64_t kv_head = head / (n_heads / n_kv_heads);
      for (std::int64_t j = of.first; j <= r; ++j) {
        const std::int64_t at = (j * n_kv_heads + kv_head) * head_dim;
        of.add_backward_kv(softmax, key, value, j, g_of_y, along, g.k.data() + at, g.v.data() + at);
      }
    });
    return g;
  }
};

TEST(AttentionGradient, AgreesWithCentralDifferences) {
  Random random("attention gradient");
  struct Form {
    std::int64_t rows, head_dim, n_heads, n_kv_heads, window;
  };
  for (const Form& f : {Form{1, 3, 1, 1, 0}, Form{7, 3, 2, 2, 0}, Form{7, 3, 2, 2, 3},
                        Form{5, 2, 3, 1, 64}, Form{6, 5, 4, 2, 1}}) {
    Attention attention(random, f.rows, f.head_dim, f.n_heads, f.n_kv_heads, f.window);
    const Attention::Gradients g = attention.gradients();
    const auto y = [&] { return attention.y(); };
    const std::string what = fmt::format("{} rows, {} heads on {}, window {}: ", f.rows, f.n_heads,
                                         f.n_kv_heads, f.window);
    expect_gradient(what + "q", attention.q, g.q, attention.g_y, y);
    expect_gradient(what + "k", attention.k, g.k, attention.g_y, y);
    expect_gradient(what + "v", attention.v, g.v, attention.g_y, y);
  }
}

TEST(HeadTurnGradient, AgreesWithCentralDifferences) {
  Random random("head turns");
  for (const std::int64_t d : {2, 6})
    for (const bool norm : {false, true})
      for (const bool rotates : {false, true}) {
        Doubles head = random_doubles(random, d, 1);
        const Doubles weight = random_doubles(random, d, 0.3, 1);
        const Doubles angles = random_doubles(random, d, 1);
        const Doubles g = random_doubles(random, d, 1);
        const HeadTurn<double> turn{d, norm ? weight.data() : nullptr,
                                    rotates ? angles.data() : nullptr, 1e-6};
        Doubles g_head(head.size());
        turn.backward(head.data(), g.data(), g_head.data());
        expect_gradient(
            fmt::format("{} elements{}{}", d, norm ? ", norm" : "", rotates ? ", rotation" : ""),
            head, g_head, g, [&] {
              Doubles turned(head.size());
              turn.forward(head.data(), turned.data());
              return turned;
            });
      }
}

// --- router -----------------------------------------------------------------------------------

/// The gates of the chosen experts.
Doubles gates_of(const Doubles& logits, const std::vector<std::int32_t>& experts,
                 bool renormalize) {
  double total = 0;
  for (const double logit : logits) total += std::exp(logit);
  Doubles gates;
  double chosen = 0;
  for (const std::int32_t e : experts) {
    gates.push_back(std::exp(logits[static_cast<std::size_t>(e)]) / total);
    chosen += gates.back();
  }
  for (double& gate : gates)
    if (renormalize) gate /= chosen;
  return gates;
}

TEST(RouterGradient, AgreesWithCentralDifferences) {
  Random random("router gradient");
  for (const bool renormalize : {false, true})
    for (const bool ties : {false, true})
      for (const std::vector<std::int32_t>& experts :
           {std::vector{2, 0}, std::vector{4}, std::vector{3, 1, 0, 4, 2}}) {
        Doubles logits = ties ? Doubles(5, 0.7) : random_doubles(random, 5, 1);
        const auto top_k = static_cast<std::int64_t>(experts.size());
        const Doubles g = random_doubles(random, top_k, 1);
        Doubles g_logits = logits;
        router_backward(g_logits.data(), 5, experts.data(), top_k, renormalize, g.data());
        expect_gradient(fmt::format("{} of 5 experts{}{}", top_k,
                                    renormalize ? ", renormalized" : "", ties ? ", ties" : ""),
                        logits, g_logits, g,
                        [&] { return gates_of(logits, experts, renormalize); });
      }
}

}  // namespace
}  // namespace bitaxon::test
