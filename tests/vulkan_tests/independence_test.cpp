// Tests that a row gives the same result alone, among other rows, and in a step with a prefill
// chunk, within the tolerance of exact precision. This test runs one case of every op on Vulkan.
// tests/op_tests/independence_test.cpp runs all cases on the CPU.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cases/composed.h"
#include "support/op_case_params.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

TEST(VulkanIndependence, RowsOfEveryOpDoNotDependOnOtherRowsInTheirStep) {
  for (const OpCases& cases : every_op_case()) {
    const auto chosen = std::ranges::find_if(
        cases.cases, [](const OpCase& c) { return (c.tags & kEveryMode) != 0; });
    const OpCase& op_case = chosen != cases.cases.end() ? *chosen : cases.cases.front();
    SCOPED_TRACE(fmt::format("{}/{}", cases.op, op_case.label));
    const OpProblem problem = problem_of(cases.op, op_case);
    Tolerance tolerance = op_case.tolerance;
    tolerance.relative += 2e-4;
    const CasePiece piece = pieces_of(problem, 1)[0];
    const auto result_in = [&](std::span<const CasePiece> group) {
      const OpProblem composed = problem.composed(group);
      const OpRun run = run_op(vulkan_backend(), composed);
      expect_clean(run, "vulkan");
      return results_of(run, composed, group.size() - 1);
    };
    const OpRun alone = result_in({&piece, 1});
    const CasePiece beside_chunk[] = {prefill_chunk(200), piece};
    for (const auto& group : {group_of({&piece, 1}, 5, 0),
                              std::vector(std::begin(beside_chunk), std::end(beside_chunk))})
      for (const std::string& difference : differences(result_in(group), alone, tolerance))
        ADD_FAILURE() << group.size() << " pieces: " << difference;
  }
}

}  // namespace
}  // namespace bitaxon::test
