// Compares the GPU with the reference, for every case of every op.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cases/op_harness.h"
#include "support/backends.h"
#include "support/op_case_params.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

class VulkanOpCasesTest : public testing::TestWithParam<NamedCase> {};

TEST_P(VulkanOpCasesTest, AgreesWithReference) {
  const OpCase& op_case = *GetParam().op_case;
  const OpProblem problem = problem_of(GetParam().op, op_case);
  const OpRun expected = expected_run(reference_backend(), problem);
  const OpRun run = run_op(vulkan_backend(), problem);
  expect_agreement(run, expected, op_case.tolerance, "vulkan");
  RecordProperty("largest_error",
                 fmt::format("{:.3f}", largest_error(run, expected, op_case.tolerance)));
}

constexpr unsigned kLong = kModel | kExhaustive;
INSTANTIATE_TEST_SUITE_P(EveryMode, VulkanOpCasesTest, testing::ValuesIn(named_cases(kEveryMode)),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Further, VulkanOpCasesTest,
                         testing::ValuesIn(named_cases(kPlain, kEveryMode | kLong)), test_name);
INSTANTIATE_TEST_SUITE_P(Exhaustive, VulkanOpCasesTest, testing::ValuesIn(named_cases(kLong)),
                         test_name);

}  // namespace
}  // namespace bitaxon::test
