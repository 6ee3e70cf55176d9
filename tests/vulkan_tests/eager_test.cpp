// Single layers on the device under test.
#include <gtest/gtest.h>

#include <memory>

#include "eager_tests/recorded_layers.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

constexpr double kBound = 1e-5;  // bound on the relative L2 error, see tests/golden/README.md

/// The device, which main() closes.
std::shared_ptr<EagerDevice> device() {
  return std::make_shared<EagerDevice>(shared_vulkan_backend());
}

TEST(EagerLayers, AScanContinuesFromStateOfTheCaller) {
  RecordedSsm ssm(device());
  std::optional<SsmState> state;
  const auto prefill = ssm.recorded("decode.prefill_x");
  expect_close(ssm.layer->run(1, ssm.rows(prefill), prefill, state),
               ssm.recorded("decode.prefill_y"), ssm.rows(prefill), kBound, "prefill");
  const auto more = ssm.recorded("decode.step_x");
  expect_close(ssm.layer->run(1, ssm.rows(more), more, state), ssm.recorded("decode.step_y"),
               ssm.rows(more), kBound, "steps");
  expect_close(state->h, ssm.recorded("decode.ssm_state"), 1, kBound, "ssm_state");
}

TEST(EagerLayers, AttentionContinuesFromKeysOfTheCaller) {
  RecordedAttention attention(device(), 16);
  const auto x = attention.recorded("x");
  expect_close(attention.run(x, 20), attention.recorded("y_causal"),
               static_cast<std::int64_t>(x.size() / attention.width), kBound, "y_causal");
}

}  // namespace
}  // namespace bitaxon::test
