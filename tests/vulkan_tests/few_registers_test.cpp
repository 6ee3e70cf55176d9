// Tests of products of few rows as devices with few registers compute them: for fewer outputs and rows
// at once. Every device can do so.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "cases/op_harness.h"
#include "support/backends.h"
#include "support/op_case_params.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

Backend& backend_with(void (*limit)(vulkan::DeviceCaps&)) {
  vulkan::VulkanOptions options = test_options();
  options.limit_caps = limit;
  return share(vulkan::open_vulkan_backend(options));
}
/// Too many registers leave too few subgroups on a SIMD.
Backend& few_registers_backend() {
  static Backend& backend =
      backend_with([](vulkan::DeviceCaps& caps) { caps.few_registers = true; });
  return backend;
}
/// A lane has few registers. Codes do not become integers, because those take none of them.
Backend& small_lanes_backend() {
  static Backend& backend = backend_with([](vulkan::DeviceCaps& caps) {
    caps.lane_registers = 128;
    caps.fast_integer_dots = false;
  });
  return backend;
}

/// Cases of two to sixteen rows.
std::vector<NamedCase> cases_of_few_rows() {
  constexpr std::array<std::string_view, 4> kOps = {"attn_in", "linear", "ssm_in", "swiglu"};
  std::vector<NamedCase> cases = named_cases(kPlain, kModel | kExhaustive);
  std::erase_if(cases, [&](const NamedCase& c) {
    if (!std::ranges::count(kOps, c.op)) return true;
    const std::uint32_t n_rows = problem_of(c.op, *c.op_case).step.n_rows;
    return n_rows < 2 || n_rows > 16;
  });
  return cases;
}

class FewRegistersTest : public testing::TestWithParam<NamedCase> {};

TEST_P(FewRegistersTest, AgreesWithReference) {
  const OpCase& op_case = *GetParam().op_case;
  const OpProblem problem = problem_of(GetParam().op, op_case);
  expect_agreement(run_op(few_registers_backend(), problem),
                   expected_run(reference_backend(), problem), op_case.tolerance, "few registers");
}

TEST_P(FewRegistersTest, AgreesWithReferenceWithSmallLanes) {
  const OpCase& op_case = *GetParam().op_case;
  const OpProblem problem = problem_of(GetParam().op, op_case);
  expect_agreement(run_op(small_lanes_backend(), problem),
                   expected_run(reference_backend(), problem), op_case.tolerance, "small lanes");
}

INSTANTIATE_TEST_SUITE_P(FewRows, FewRegistersTest, testing::ValuesIn(cases_of_few_rows()),
                         test_name);

}  // namespace
}  // namespace bitaxon::test
