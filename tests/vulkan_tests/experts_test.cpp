// Tests of the expert ops that their op cases do not cover. The ops must accept expert indexes that
// no router gives. The result of a row must not depend on the other rows of the same experts.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "cases/op_harness.h"
#include "support/backends.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

constexpr std::int64_t kModel = 64;
constexpr std::int64_t kIntermediate = 96;
constexpr std::int64_t kExperts = 5;
constexpr std::int64_t kTopK = 2;

enum class Half { swiglu, down };

/// The rows of a step. Both expert ops take rows [R, n_columns] and expert indexes.
struct Step {
  std::vector<std::int32_t> experts;  ///< indexes of the chosen experts, [R, top_k]
  std::vector<std::int32_t> order;    ///< row i of the step has the random numbers of row order[i]
};

Step step_of(std::int32_t n_rows) {
  Step step;
  for (std::int32_t r = 0; r < n_rows; ++r) {
    step.order.push_back(r);
    step.experts.push_back(r * 7 % 5);
    step.experts.push_back((r * 7 + 1 + r % 3) % 5);
  }
  return step;
}

/// Adds an input with random rows. The rows are in the order of the step.
std::size_t add_rows(OpProblem& p, const Step& step, std::vector<std::int64_t> row_shape) {
  std::int64_t n = 1;
  for (const std::int64_t size : row_shape) n *= size;
  const auto row = static_cast<std::size_t>(n);
  std::vector<float> numbers(row * step.order.size());
  for (float& number : numbers) number = p.random().centred(1);
  std::vector<float> ordered;
  for (const std::int32_t r : step.order) {
    const auto begin = numbers.begin() + static_cast<std::ptrdiff_t>(row) * r;
    ordered.insert(ordered.end(), begin, begin + static_cast<std::ptrdiff_t>(row));
  }
  return p.add_input<float>(row_shape, ordered);
}

OpProblem problem_of(Half half, const Step& step) {
  OpProblem p("experts");
  const auto n_rows = static_cast<std::uint32_t>(step.order.size());
  p.set_step(one_segment(n_rows, 0), n_rows);
  std::vector<std::int32_t> chosen;
  for (const std::int32_t r : step.order)
    for (std::int64_t k = 0; k < kTopK; ++k)
      chosen.push_back(step.experts[static_cast<std::size_t>(r * kTopK + k)]);
  const auto experts = p.add_input<std::int32_t>(std::array{kTopK}, chosen);
  if (half == Half::swiglu) {
    const auto x = add_rows(p, step, {kModel});
    const Shape stack{kExperts, kIntermediate, kModel};
    const Shape one{1, kIntermediate, kModel};
    const auto gate = p.add_weight(Format::q4_g32, stack, 0.1);
    const auto up = p.add_weight(Format::q4_g32, stack, 0.1);
    const auto shared_gate = p.add_weight(Format::f16, one, 0.1);
    const auto shared_up = p.add_weight(Format::f16, one, 0.1);
    p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
      return {moe_swiglu(h.inputs[x], h.inputs[experts],
                         {.gate = h.weights[gate],
                          .up = h.weights[up],
                          .shared_gate = h.weights[shared_gate],
                          .shared_up = h.weights[shared_up]})};
    };
    return p;
  }
  const auto act = add_rows(p, step, {kTopK + 1, kIntermediate});
  const auto gates = add_rows(p, step, {kTopK + 1});
  const auto residual = add_rows(p, step, {kModel});
  const auto down = p.add_weight(Format::q4_g32, {kExperts, kModel, kIntermediate}, 0.1);
  const auto shared = p.add_weight(Format::f16, {1, kModel, kIntermediate}, 0.1);
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {moe_down(h.inputs[act], h.inputs[experts], h.inputs[gates], h.weights[down],
                     h.weights[shared], h.inputs[residual])};
  };
  return p;
}

class ExpertsTest : public testing::TestWithParam<Half> {};

TEST_P(ExpertsTest, AnInvalidIndexCountsAsTheLastExpert) {
  for (const std::int32_t n_rows : {1, 3, 20, 70}) {
    SCOPED_TRACE(n_rows);
    Step wild = step_of(n_rows);
    Step tame = wild;
    wild.experts.front() = -1;
    wild.experts.back() = 0x7fffffff;
    tame.experts.front() = tame.experts.back() = kExperts - 1;
    const OpRun expected = run_op(reference_backend(), problem_of(GetParam(), tame));
    const OpRun run = run_op(vulkan_backend(), problem_of(GetParam(), wild));
    EXPECT_TRUE(run.violations.empty());
    const Tolerance tolerance{1e-4, "sums of a hundred products"};
    for (const std::string& difference : differences(run, expected, tolerance))
      ADD_FAILURE() << difference;
  }
}

TEST_P(ExpertsTest, RowsDoNotDependOnTheirNeighbors) {
  for (const std::int32_t n_rows : {3, 20, 70}) {
    SCOPED_TRACE(n_rows);
    const Step step = step_of(n_rows);
    Step backwards = step;
    std::ranges::reverse(backwards.order);
    const OpRun one = run_op(vulkan_backend(), problem_of(GetParam(), step));
    const OpRun other = run_op(vulkan_backend(), problem_of(GetParam(), backwards));
    ASSERT_EQ(one.results.size(), 1U);
    const auto& a = one.results[0].bytes;
    const auto& b = other.results[0].bytes;
    const std::size_t row = a.size() / static_cast<std::size_t>(n_rows);
    for (std::size_t r = 0; r < static_cast<std::size_t>(n_rows); ++r)
      EXPECT_TRUE(std::equal(a.begin() + static_cast<std::ptrdiff_t>(r * row),
                             a.begin() + static_cast<std::ptrdiff_t>((r + 1) * row),
                             b.end() - static_cast<std::ptrdiff_t>((r + 1) * row)))
          << "the bits of row " << r << " differ";
  }
}

INSTANTIATE_TEST_SUITE_P(Both, ExpertsTest, testing::Values(Half::swiglu, Half::down));

}  // namespace
}  // namespace bitaxon::test
