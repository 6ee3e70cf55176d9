// Tests of measurements on a device: its highest rates, and the times of the launches of a step.
#include <gtest/gtest.h>

#include "bitaxon/model.h"
#include "support/borrowed_backend.h"
#include "support/small_models.h"
#include "test_device.h"
#include "vulkan/kernels/matrix_tile.h"

namespace bitaxon::test {
namespace {

void expect_plausible(const DeviceRates& rates) {
  EXPECT_GT(rates.read_bytes_per_s, 1e6);
  EXPECT_LT(rates.read_bytes_per_s, 1e15);
  EXPECT_GT(rates.f32_flops_per_s, 1e6);
  EXPECT_LT(rates.f32_flops_per_s, 1e17);
  EXPECT_GT(rates.dispatch_s, 1e-8);
  EXPECT_LT(rates.dispatch_s, 1e-1);
}

TEST(DeviceRates, AreMeasuredBetweenSteps) {
  Backend& backend = vulkan_backend();
  Model model = Model::random(borrowed(backend), small_config().spec(), 1, {});
  const std::int32_t ids[] = {1, 2, 3};
  std::vector<float> before(static_cast<std::size_t>(model.spec().vocab_size));
  std::vector<float> after(before.size());
  for (std::vector<float>* logits : {&before, &after}) {
    State state = model.new_state();
    model.feed(state, ids, StepOutput::last_logits);
    const DeviceRates rates = backend.measure_rates();  // waits for the step before it measures
    expect_plausible(rates);
    const vulkan::DeviceCaps& caps = vulkan::device_caps(backend);
    EXPECT_EQ(rates.matrix_flops_per_s > 1e6, caps.matrix_tile != 0 && vulkan::matrix_units(caps));
    EXPECT_LT(rates.matrix_flops_per_s, 1e18);
    model.read_logits(*logits);
  }
  EXPECT_TRUE(same_bits(before, after));
}

TEST(LaunchTimes, BelongToTheLatestStep) {
  const auto backend = vulkan::open_vulkan_backend(test_options());
  backend->measure_ops(true);
  Model model = Model::random(backend, small_config().spec(), 1, {});
  EXPECT_TRUE(backend->last_step_times().empty());
  State state = model.new_state();
  const std::int32_t ids[] = {1, 2, 3};
  for (const auto n_rows : {3U, 1U}) {
    model.feed(state, std::span(ids).first(n_rows), StepOutput::last_logits);
    const std::vector<OpTime> times = backend->last_step_times();
    EXPECT_EQ(times.size(), backend->last_step().dispatches);
    double total_ns = 0;
    std::int64_t bytes = 0;
    for (const OpTime& time : times) {
      EXPECT_GE(time.time_ns, 0) << time.label;
      EXPECT_NE(time.label.find(time.op + ": "), std::string::npos) << time.label;
      total_ns += time.time_ns;
      bytes += time.bytes;
    }
    EXPECT_GT(total_ns, 0);
    EXPECT_GT(bytes, static_cast<std::int64_t>(model.packed_bytes() / 4));
  }
}

TEST(LaunchTimes, AreEmptyUnlessRequested) {
  Model model = Model::random(borrowed(vulkan_backend()), small_config().spec(), 1, {});
  State state = model.new_state();
  const std::int32_t ids[] = {1};
  model.wait(model.feed(state, ids, StepOutput::last_logits));
  EXPECT_TRUE(vulkan_backend().last_step_times().empty());
}

}  // namespace
}  // namespace bitaxon::test
