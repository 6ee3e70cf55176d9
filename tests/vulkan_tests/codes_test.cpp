// Tests of the ways in which products make floats of codes of 4 bits. Each way is right on every
// device, so any test device can run those of GPUs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "shaders/params/mat_vec.h"
#include "support/backends.h"
#include "support/op_case_params.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

/// The device under test, reported as a GPU with mixed products.
Backend& gpu_backend() {
  static Backend& backend = []() -> Backend& {
    vulkan::VulkanOptions options = test_options();
    options.limit_caps = [](vulkan::DeviceCaps& caps) {
      caps.type = vulkan::DeviceType::discrete;
      caps.mixed_products = true;
    };
    return share(vulkan::open_vulkan_backend(options));
  }();
  return backend;
}

/// The cases with weights of codes of 4 bits.
std::vector<NamedCase> cases_of_codes() {
  std::vector<NamedCase> cases = named_cases(kEveryMode);
  std::erase_if(cases, [](const NamedCase& c) {
    const std::string& label = c.op_case->label;
    return (label.find("q4") == std::string::npos && label.find("nf4") == std::string::npos) ||
           c.op.find("backward") != std::string_view::npos;
  });
  return cases;
}

/// The error of all float32 results together, relative to their size.
double relative_error(const OpRun& run, const OpRun& expected) {
  double error = 0;
  double norm = 0;
  for (std::size_t i = 0; i < run.results.size(); ++i) {
    if (run.results[i].dtype != DType::f32) continue;
    const std::vector<std::byte>& actual = run.results[i].bytes;
    for (std::size_t at = 0; at < actual.size(); at += sizeof(float)) {
      float a = 0;
      float b = 0;
      std::memcpy(&a, actual.data() + at, sizeof(a));
      std::memcpy(&b, expected.results[i].bytes.data() + at, sizeof(b));
      error += std::pow(static_cast<double>(a) - static_cast<double>(b), 2);
      norm += std::pow(static_cast<double>(b), 2);
    }
  }
  return std::sqrt(error / norm);
}

class CodesTest : public testing::TestWithParam<NamedCase> {};

TEST_P(CodesTest, AgreesWithReference) {
  const OpCase& op_case = *GetParam().op_case;
  const OpProblem problem = problem_of(GetParam().op, op_case);
  const OpRun expected = expected_run(reference_backend(), problem);
  const OpRun run = run_op(gpu_backend(), problem);
  expect_clean(run, "gpu");
  RecordProperty("largest_error",
                 fmt::format("{:.3f}", largest_error(run, expected, op_case.tolerance)));
  for (const std::string& difference : differences(run, expected, op_case.tolerance))
    ADD_FAILURE() << difference;
  EXPECT_LT(relative_error(run_op(gpu_backend(), problem, Precision::fast), expected), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(OfGpus, CodesTest, testing::ValuesIn(cases_of_codes()), test_name);

TEST(CodesOfProducts, DependOnTheDevice) {
  vulkan::DeviceCaps caps;
  EXPECT_EQ(vulkan::codes_of_products(caps, Precision::exact), BX_CODES_AS_BYTES);
  EXPECT_EQ(vulkan::codes_of_products(caps, Precision::fast), BX_CODES_AS_BYTES);
  caps.mixed_products = true;
  EXPECT_EQ(vulkan::codes_of_products(caps, Precision::exact), BX_CODES_AS_HALVES);
  EXPECT_EQ(vulkan::codes_of_products(caps, Precision::fast), BX_CODES_AS_LARGE_HALVES);
  caps.type = vulkan::DeviceType::cpu;
  EXPECT_EQ(vulkan::codes_of_products(caps, Precision::exact), BX_CODES_IN_LANES);
}

}  // namespace
}  // namespace bitaxon::test
