// Tests of products of many rows that multiply halves without matrix units. The device under test takes
// them because it is asked for them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "cases/errors.h"
#include "cases/op_harness.h"
#include "support/backends.h"
#include "support/op_case_params.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

Backend& half_backend() {
  static Backend& backend = []() -> Backend& {
    vulkan::VulkanOptions options = test_options();
    options.tiles = "float16";
    return share(vulkan::open_vulkan_backend(options));
  }();
  return backend;
}
bool has_halves() { return vulkan::device_caps(vulkan_backend()).shader_float16; }

void expect_right(const OpProblem& problem, const Tolerance& tolerance) {
  expect_agreement(run_op(half_backend(), problem, Precision::fast),
                   expected_run(reference_backend(), problem), with_fast_error(tolerance),
                   "float16 tiles");
}

/// The cases of the ops that have such tiles.
std::vector<NamedCase> cases_of_products(unsigned tags, unsigned without) {
  constexpr std::array<std::string_view, 4> kOps = {"linear", "moe_down", "moe_swiglu", "swiglu"};
  std::vector<NamedCase> cases = named_cases(tags, without);
  std::erase_if(cases, [&](const NamedCase& c) {
    if (!std::ranges::count(kOps, c.op)) return true;
    return problem_of(c.op, *c.op_case).step.n_rows <= 16;  // these have no tiles
  });
  return cases;
}

class HalfTilesCases : public testing::TestWithParam<NamedCase> {};

TEST_P(HalfTilesCases, AgreeWithReference) {
  if (!has_halves()) GTEST_SKIP() << "the device has no float16 arithmetic";
  expect_right(problem_of(GetParam().op, *GetParam().op_case), GetParam().op_case->tolerance);
}

INSTANTIATE_TEST_SUITE_P(Brief, HalfTilesCases,
                         testing::ValuesIn(cases_of_products(kEveryMode, kModel | kExhaustive)),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Exhaustive, HalfTilesCases,
                         testing::ValuesIn(cases_of_products(kPlain,
                                                             kModel | kExhaustive | kEveryMode)),
                         test_name);

/// A product of 70 rows. Each row of x has numbers of another size, from `least` up to `most`.
OpProblem product_of_sizes(Format format, double weight_spread, double least, double most) {
  constexpr std::uint32_t kRows = 70;
  constexpr std::int64_t kCols = 256;
  const Tolerance tolerance{0, "float32 sums of products, in any order"};
  OpCase product{"sizes", kEdge, tolerance, {}};
  product.build = [=](OpProblem& problem) {
    problem.set_step(one_segment(kRows, 0), kRows);
    const std::int64_t row[] = {kCols};
    std::vector<float> x;
    for (std::uint32_t r = 0; r < kRows; ++r) {
      const double size = least * std::pow(most / least, r / (kRows - 1.0));
      for (std::int64_t c = 0; c < kCols; ++c)
        x.push_back(static_cast<float>(size * std::sin(static_cast<double>(1 + 7 * c + 13 * r))));
    }
    problem.add_input<float>(row, x);
    problem.add_weight(format, {1, 80, kCols}, weight_spread);
    problem.errors = [](const OpProblem& p) {
      return linear_errors(p, normed_rows(p, 0, {}, 0), 0, {});
    };
    problem.record = [](const OpHandles& handles) {
      return std::vector{linear(handles.inputs[0], handles.weights[0])};
    };
  };
  return problem_of("linear", product);
}

TEST(HalfTiles, TakeFactorsOfAnySize) {
  if (!has_halves()) GTEST_SKIP() << "the device has no float16 arithmetic";
  const Tolerance tolerance{0, "float32 sums of products, in any order"};
  for (const Format format :
       {Format::f32, Format::f16, Format::q4_g64, Format::q8_g64, Format::nf4_g64}) {
    SCOPED_TRACE(name_of(format));
    expect_right(product_of_sizes(format, 0.1, 1e-20, 1e20), tolerance);
  }
  // Products of the largest of these factors are beyond a half, and of the smallest ones below it.
  for (const double spread : {1e-12, 1e-6, 1e6, 1e12}) {
    SCOPED_TRACE(spread);
    expect_right(product_of_sizes(Format::f32, spread, 1e-6, 1e6), tolerance);
    expect_right(product_of_sizes(Format::bf16, spread, 1e-6, 1e6), tolerance);
  }
}

TEST(HalfTiles, OneLargeFactorHidesNoOther) {
  if (!has_halves()) GTEST_SKIP() << "the device has no float16 arithmetic";
  // Infinities and NaN stay in their row; 1e30 times weights near 1 is finite.
  constexpr std::uint32_t kRows = 33;
  constexpr std::int64_t kCols = 64;
  OpCase product{"one_large", kEdge, {0, "float32 sums of products", true}, {}};
  product.build = [=](OpProblem& problem) {
    problem.set_step(one_segment(kRows, 0), kRows);
    const std::int64_t row[] = {kCols};
    std::vector<float> x(std::size_t{kRows} * kCols, 1.0F);
    x[5] = 1e30F;
    x[3 * kCols + 40] = std::numeric_limits<float>::quiet_NaN();
    x[6 * kCols + 17] = -65504;
    problem.add_input<float>(row, x);
    problem.add_weight(Format::f32, {1, 64, kCols}, 1);
    problem.errors = [](const OpProblem& p) {
      return linear_errors(p, normed_rows(p, 0, {}, 0), 0, {});
    };
    problem.record = [](const OpHandles& handles) {
      return std::vector{linear(handles.inputs[0], handles.weights[0])};
    };
  };
  expect_right(problem_of("linear", product), product.tolerance);
}

}  // namespace
}  // namespace bitaxon::test
