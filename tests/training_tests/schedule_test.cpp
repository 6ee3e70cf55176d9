// The learning rate of every update, against recorded values.
#include <gtest/gtest.h>

#include "bitaxon/train.h"

namespace bitaxon::test {
namespace {

TEST(LearningRate, StartsAtZeroAndReachesThePeakTwice) {
  const OptimizerSettings settings;  // peak 1e-4, warmup 100, 10,000 steps
  EXPECT_EQ(learning_rate_at(settings, 0), 0);
  EXPECT_DOUBLE_EQ(learning_rate_at(settings, 1), 1e-6);
  EXPECT_DOUBLE_EQ(learning_rate_at(settings, 100), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate_at(settings, 101), 1e-4);
  EXPECT_NEAR(learning_rate_at(settings, 2500), 8.62e-5, 1e-8);
  EXPECT_NEAR(learning_rate_at(settings, 10'001), 0, 1e-20);
}

TEST(LearningRate, StaysAtTheMinimumAfterTheLastStep) {
  OptimizerSettings settings;
  settings.min_learning_rate = 1e-5;
  EXPECT_DOUBLE_EQ(learning_rate_at(settings, 20'000), 1e-5);
  settings.schedule = LearningRateSchedule::linear;
  EXPECT_DOUBLE_EQ(learning_rate_at(settings, 20'000), 1e-5);
}

TEST(LearningRate, IsConstantAfterTheWarmupIfTheScheduleIsConstant) {
  OptimizerSettings settings;
  settings.schedule = LearningRateSchedule::constant;
  settings.warmup_steps = 0;
  EXPECT_EQ(learning_rate_at(settings, 0), 1e-4);
  EXPECT_EQ(learning_rate_at(settings, 9'999), 1e-4);
}

}  // namespace
}  // namespace bitaxon::test
