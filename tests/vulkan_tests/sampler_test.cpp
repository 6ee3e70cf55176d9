// Tests the sample op on the GPU. The op computes with integers, so every token equals the token of
// the plain sampler. (A weight may differ by 1 if exp(x) * 2^30 is within 2^-23 of a half. The
// seeds of the tests are fixed, and no token of these tests depends on such a weight.)
#include "support/sample_checks.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

constexpr SampleBackend kVulkan = {"vulkan", vulkan_backend, 1000, 20'000};
INSTANTIATE_TEST_SUITE_P(Vulkan, Sample, testing::Values(kVulkan));
INSTANTIATE_TEST_SUITE_P(ExhaustiveVulkan, ManySamples, testing::Values(kVulkan));

}  // namespace
}  // namespace bitaxon::test
