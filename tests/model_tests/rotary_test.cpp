// Checks rotary tables against a computation in a wider type, from the formulas of the papers.
#include "model/rotary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/errors.h"

namespace bitaxon::test {
namespace {

using Scaling = RotarySpec::Scaling;
using Wide = long double;

/// The frequency of pair i of a YaRN rotation.
Wide yarn_frequency(const RotarySpec& spec, std::int64_t i) {
  const Wide d = static_cast<Wide>(spec.n_dims);
  const auto border = [&](double turns) {
    return d *
           std::log(static_cast<Wide>(spec.original_positions) /
                    (2 * std::acos(static_cast<Wide>(-1)) * static_cast<Wide>(turns))) /
           (2 * std::log(static_cast<Wide>(spec.base)));
  };
  Wide low = border(spec.beta_fast);
  Wide high = border(spec.beta_slow);
  if (spec.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max<Wide>(low, 0);
  high = std::min<Wide>(high, d - 1);
  if (low == high) high += static_cast<Wide>(0.001);
  const Wide ramp = std::clamp<Wide>((static_cast<Wide>(i) - low) / (high - low), 0, 1);
  const Wide whole = std::pow(static_cast<Wide>(spec.base), -2 * static_cast<Wide>(i) / d);
  return whole / static_cast<Wide>(spec.factor) * ramp + whole * (1 - ramp);
}

Wide frequency(const RotarySpec& spec, std::int64_t i) {
  if (spec.scaling == Scaling::yarn) return yarn_frequency(spec, i);
  const Wide whole = std::pow(static_cast<Wide>(spec.base),
                              -2 * static_cast<Wide>(i) / static_cast<Wide>(spec.n_dims));
  return spec.scaling == Scaling::linear ? whole / static_cast<Wide>(spec.factor) : whole;
}

/// Compares chosen rows of the table. `factor` is the attention factor.
void expect_table(const RotarySpec& spec, std::int64_t n_positions, double factor) {
  const std::vector<float> table = rotary_table(spec, n_positions);
  ASSERT_EQ(table.size(), static_cast<std::size_t>(n_positions * spec.n_dims));
  double worst = 0;
  for (std::int64_t p = 0; p < n_positions; p += 1 + p / 64)
    for (std::int64_t i = 0; i < spec.n_dims / 2; ++i) {
      const Wide angle = static_cast<Wide>(p) * frequency(spec, i);
      const auto at = static_cast<std::size_t>(p * spec.n_dims + 2 * i);
      const auto error = [&](float got, Wide expected) {
        return static_cast<double>(
            std::abs(static_cast<Wide>(got) - expected * static_cast<Wide>(factor)));
      };
      worst = std::max(
          {worst, error(table[at], std::cos(angle)), error(table[at + 1], std::sin(angle))});
    }
  EXPECT_LT(worst, 1e-6 * factor);
}

TEST(RotaryTable, PlainAndLinearTablesAreExactForLongTexts) {
  expect_table({.n_dims = 128, .base = 1e6}, 131072, 1);
  expect_table({.n_dims = 24, .base = 10000}, 300, 1);
  expect_table({.n_dims = 2, .base = 5e6}, 300, 1);
  expect_table({.n_dims = 64, .base = 10000, .scaling = Scaling::linear, .factor = 2.5}, 300, 1);
}

TEST(RotaryTable, YarnTablesAreExactForLongTexts) {
  const double grown = 0.1 * std::log(4.0) + 1;
  const RotarySpec spec{.n_dims = 128,
                        .base = 1e6,
                        .scaling = Scaling::yarn,
                        .factor = 4,
                        .original_positions = 32768};
  expect_table(spec, 131072, grown);
  RotarySpec small = spec;
  small.n_dims = 24;
  small.original_positions = 32;
  expect_table(small, 300, grown);
  small.truncate = false;
  expect_table(small, 300, grown);
  small.beta_fast = small.beta_slow = 1;  // a ramp of no length
  expect_table(small, 300, grown);
}

TEST(RotaryTable, TheAttentionFactorIsGivenOrComputed) {
  RotarySpec spec{.n_dims = 8, .scaling = Scaling::yarn, .factor = 4, .original_positions = 64};
  spec.mscale = 2;
  expect_table(spec, 100, 0.1 * std::log(4.0) + 1);  // mscale alone does not count
  spec.mscale_all_dim = 0.5;
  expect_table(spec, 100, (0.2 * std::log(4.0) + 1) / (0.05 * std::log(4.0) + 1));
  spec.attention_factor = 1.25;
  expect_table(spec, 100, 1.25);
  spec = {.n_dims = 8, .scaling = Scaling::yarn, .factor = 0.5, .original_positions = 64};
  expect_table(spec, 100, 1);
}

TEST(RotaryTable, RefusesFieldsOutOfRange) {
  const auto refused = [](const RotarySpec& spec, const char* field) {
    expect_invalid([&] { rotary_table(spec, 4); }, field);
  };
  refused({.n_dims = 3}, "n_dims");
  refused({.n_dims = 0}, "n_dims");
  refused({.n_dims = 4, .base = 1}, "base");
  refused({.n_dims = 4, .scaling = Scaling::linear, .factor = 0}, "factor");
  refused({.n_dims = 4, .scaling = Scaling::yarn, .factor = 2}, "original_positions");
  refused({.n_dims = 4,
           .scaling = Scaling::yarn,
           .factor = 2,
           .original_positions = 8,
           .attention_factor = -1},
          "attention_factor");
}

}  // namespace
}  // namespace bitaxon::test
