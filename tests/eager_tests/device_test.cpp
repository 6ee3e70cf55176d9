// Tests of how layers share a device.
#include "eager/device.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "bitaxon/error.h"
#include "eager_tests/recorded_layers.h"

namespace bitaxon::test {
namespace {

TEST(EagerDevice, DropsAnObjectWhenNobodyComputes) {
  EagerDevice device(cpu_device()->shared_backend());
  auto object = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = object;
  {
    const auto lock = device.lock();
    device.drop(std::move(object));
    EXPECT_FALSE(watched.expired()) << "it was dropped while the device was computing";
  }
  const auto lock = device.lock();
  EXPECT_TRUE(watched.expired());
}

TEST(EagerDevice, DropsAnObjectAtOnceWhenItIsIdle) {
  EagerDevice device(cpu_device()->shared_backend());
  auto object = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = object;
  device.drop(std::move(object));
  EXPECT_TRUE(watched.expired());
}

TEST(EagerDevice, ACancelledCallEndsAndTheNextOneWorks) {
  RecordedSsm ssm(cpu_device());
  const auto x = ssm.recorded("batch.x");
  const std::atomic<bool> cancelled = true;
  cpu_device()->set_cancelled(&cancelled);
  std::optional<SsmState> state;
  EXPECT_THROW(ssm.layer->run(2, 7, x, state), Error);
  EXPECT_FALSE(state.has_value());
  cpu_device()->set_cancelled(nullptr);
  expect_close(ssm.layer->run(2, 7, x, state), ssm.recorded("batch.y"), 14, 1e-5, "batch.y");
}

}  // namespace
}  // namespace bitaxon::test
