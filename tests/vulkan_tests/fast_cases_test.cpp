// Compares products in precision "fast" with the reference: on devices with matrix units, they run
// there.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "cases/op_harness.h"
#include "support/backends.h"
#include "support/op_case_params.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

/// The cases of the ops that round factors to 16 bits in precision "fast".
std::vector<NamedCase> cases_of_products() {
  constexpr std::array<std::string_view, 5> kOps = {"attention", "linear", "moe_down", "moe_swiglu",
                                                    "swiglu"};
  std::vector<NamedCase> cases = named_cases(kPlain, kModel | kExhaustive);
  std::erase_if(cases, [&](const NamedCase& c) { return !std::ranges::count(kOps, c.op); });
  return cases;
}

class FastCases : public testing::TestWithParam<NamedCase> {};

TEST_P(FastCases, AgreeWithReference) {
  const OpCase& op_case = *GetParam().op_case;
  const OpProblem problem = problem_of(GetParam().op, op_case);
  expect_agreement(run_op(vulkan_backend(), problem, Precision::fast),
                   expected_run(reference_backend(), problem), with_fast_error(op_case.tolerance),
                   "vulkan, fast");
}

INSTANTIATE_TEST_SUITE_P(Products, FastCases, testing::ValuesIn(cases_of_products()), test_name);

}  // namespace
}  // namespace bitaxon::test
