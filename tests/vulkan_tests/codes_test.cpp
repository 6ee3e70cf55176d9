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

/// The device under test, reported as a GPU with mixed products, or with fast integer dots.
Backend& gpu_backend(bool has_dots) {
  const auto open = [](bool dots) -> Backend& {
    vulkan::VulkanOptions options = test_options();
    options.limit_caps = [dots](vulkan::DeviceCaps& caps) {
      caps.type = vulkan::DeviceType::discrete;
      caps.mixed_products = !dots;
      caps.fast_integer_dots = dots && caps.integer_dots;
    };
    return share(vulkan::open_vulkan_backend(options));
  };
  static Backend& halves = open(false);
  static Backend& dots = open(true);
  return has_dots ? dots : halves;
}

/// The cases with weights of codes.
std::vector<NamedCase> cases_of_codes() {
  std::vector<NamedCase> cases = named_cases(kEveryMode);
  std::erase_if(cases, [](const NamedCase& c) {
    const std::string& label = c.op_case->label;
    const auto has = [&](const char* format) { return label.find(format) != std::string::npos; };
    return (!has("q4") && !has("q8") && !has("nf4")) ||
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

class CodesTest : public testing::TestWithParam<NamedCase> {
 protected:
  static void expect_right(Backend& backend);
};

void CodesTest::expect_right(Backend& backend) {
  const OpCase& op_case = *GetParam().op_case;
  const OpProblem problem = problem_of(GetParam().op, op_case);
  const OpRun expected = expected_run(reference_backend(), problem);
  const OpRun run = run_op(backend, problem);
  expect_agreement(run, expected, op_case.tolerance, "gpu");
  RecordProperty("largest_error",
                 fmt::format("{:.3f}", largest_error(run, expected, op_case.tolerance)));
  EXPECT_LT(relative_error(run_op(backend, problem, Precision::fast), expected), 1e-3);
}

TEST_P(CodesTest, AgreesWithHalves) { expect_right(gpu_backend(false)); }

TEST_P(CodesTest, AgreesWithIntegerDots) { expect_right(gpu_backend(true)); }

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

TEST(CodesOfLaunch, AreIntegersForAffineCodesOfOneFormat) {
  vulkan::DeviceCaps caps;
  caps.max_subgroup_size = 32;
  caps.max_group_invocations = 1024;
  caps.max_shared_bytes = 32768;
  caps.fast_integer_dots = true;
  constexpr std::uint32_t kAligned = 256, kGroup64 = 64 << 9, kGroup8 = 8 << 9;
  constexpr std::uint32_t kQ4 = BX_Q4 | kAligned | kGroup64, kQ8 = BX_Q8 | kAligned | kGroup64;
  const auto codes = [&](std::initializer_list<std::uint32_t> forms, std::uint32_t n_rows = 1) {
    return vulkan::codes_of_launch(caps, Precision::exact, forms, n_rows);
  };
  EXPECT_TRUE(codes({kQ4}).dots);
  EXPECT_TRUE(codes({kQ8, BX_FORM_ABSENT}, 4).dots);
  EXPECT_EQ(codes({kQ4}).codes, BX_CODES_AS_THREE_LIMBS);
  EXPECT_EQ(vulkan::codes_of_launch(caps, Precision::fast, {kQ4}).codes, BX_CODES_AS_TWO_LIMBS);
  EXPECT_FALSE(codes({kQ4}, 5).dots);
  EXPECT_FALSE(codes({kQ4, kQ8}).dots);
  EXPECT_FALSE(codes({BX_NF4 | kAligned | kGroup64}).dots);
  EXPECT_FALSE(codes({BX_Q4 | kGroup64}).dots) << "not aligned";
  EXPECT_FALSE(codes({BX_Q8 | kAligned | kGroup8}).dots);
  EXPECT_EQ(codes({kQ4}, 5).codes, BX_CODES_AS_BYTES);
}

}  // namespace
}  // namespace bitaxon::test
