// Tests the sample op of the reference backend. Other backends are compared with the reference in
// the op cases.
#include "support/backends.h"
#include "support/sample_checks.h"

namespace bitaxon::test {
namespace {

constexpr SampleBackend kReference = {"reference", reference_backend, 500, 100'000};
INSTANTIATE_TEST_SUITE_P(Reference, Sample, testing::Values(kReference));
INSTANTIATE_TEST_SUITE_P(Reference, ManySamples, testing::Values(kReference));

}  // namespace
}  // namespace bitaxon::test
