// The sample op of the GPU. Its arithmetic is that of integers, so nothing is left to rounding:
// every token is the plain program's. (A weight may be off by one unit where exp(x) * 2^30 lies
// within 2^-23 of a half; the seeds here are fixed, and no token depends on such a one.)
#include "support/sample_checks.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

constexpr SampleBackend kVulkan = {"vulkan", vulkan_backend, 1000, 20'000};
INSTANTIATE_TEST_SUITE_P(Vulkan, Sample, testing::Values(kVulkan));
INSTANTIATE_TEST_SUITE_P(ExhaustiveVulkan, ManySamples, testing::Values(kVulkan));

}  // namespace
}  // namespace bitaxon::test
