// Tests the sample op of the reference backend. The op cases compare other backends with the
// reference.
#include "support/backends.h"
#include "support/sample_checks.h"

namespace bitaxon::test {
namespace {

constexpr SampleBackend kReference = {"reference", reference_backend, 500, 100'000};
INSTANTIATE_TEST_SUITE_P(Reference, Sample, testing::Values(kReference));
INSTANTIATE_TEST_SUITE_P(Reference, ManySamples, testing::Values(kReference));

}  // namespace
}  // namespace bitaxon::test
