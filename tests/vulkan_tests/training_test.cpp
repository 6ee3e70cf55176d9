// Training on the GPU: recorded cases and curves of whole models.
#include <gtest/gtest.h>

#include "support/training_cases.h"
#include "support/training_curves.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

class VulkanGoldenTraining : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(VulkanGoldenTraining, GradientsAgreeWithTheRecording) {
  expect_case(TrainingCase(GetParam()), shared_vulkan_backend(),
              {.loss = 1e-5, .gradient = 1e-4, .recorded_gradient = 1e-4});
}

INSTANTIATE_TEST_SUITE_P(, VulkanGoldenTraining, testing::ValuesIn(training_case_folders()),
                         [](const auto& param) { return param.param.filename().string(); });

TEST(ExhaustiveVulkanCurve, IsAsRecorded) {
  expect_curve("ref", shared_vulkan_backend(), Precision::exact, 100, kExactCurve);
  expect_curve("dora_ref", shared_vulkan_backend(), Precision::exact, 50, kExactCurve);
  expect_curve("accum4_ref", shared_vulkan_backend(), Precision::exact, 20, kExactCurve);
}

TEST(ExhaustiveVulkanCurve, OfFastProductsIsClose) {
  expect_curve("ref", shared_vulkan_backend(), Precision::fast, 100, kFastCurve);
}

}  // namespace
}  // namespace bitaxon::test
