// Tests of the step buffer and of the buckets of a step.
#include "core/step.h"

#include <gtest/gtest.h>

#include <bit>

#include "model/step_graph.h"

namespace bitaxon::test {
namespace {

TEST(Step, ABucketIsTheNextPowerOfTwo) {
  for (std::int64_t n = 1; n <= kMaxRows; ++n) {
    const std::int64_t bucket = bucket_of(n);
    EXPECT_TRUE(std::has_single_bit(static_cast<std::uint64_t>(bucket)));
    EXPECT_GE(bucket, n);
    EXPECT_LT(bucket, 2 * n);
  }
  EXPECT_EQ(bucket_of(1), 1);
  EXPECT_EQ(bucket_of(2), 2);
  EXPECT_EQ(bucket_of(3), 4);
  EXPECT_EQ(bucket_of(257), 512);
  EXPECT_EQ(bucket_of(kMaxRows), kMaxRows);
  EXPECT_EQ(bucket_of(kMaxSegments), kMaxSegments);
}

TEST(Step, TwoWordsCarry64Bits) {
  for (std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1} << 32, ~std::uint64_t{0},
                              std::uint64_t{0x0123456789abcdef}})
    EXPECT_EQ(U64Words::of(value).value(), value);
}

TEST(Step, DefaultsAreNeutral) {
  const StepBuffer step;
  EXPECT_EQ(step.n_rows, 0U);
  EXPECT_EQ(step.n_segments, 0U);
  EXPECT_EQ(step.n_outputs, 0U);
  EXPECT_EQ(step.segments[0].sampled_output, BX_SAMPLES_NOTHING);
  const SamplerWords sampler;
  EXPECT_EQ(sampler.temperature, 0);
  EXPECT_EQ(sampler.repetition_penalty, 1);
  EXPECT_EQ(sampler.top_k, 0U);
  EXPECT_EQ(sampler.use_top_p, 0U);
  EXPECT_EQ(sampler.min_p_q32.value(), 0U);
}

}  // namespace
}  // namespace bitaxon::test
