// Tests of the step buffer, and of the buckets and kinds of steps.
#include "core/step.h"

#include <gtest/gtest.h>

#include <bit>
#include <initializer_list>
#include <utility>

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

/// The kind of a step whose segments have these numbers of rows and these outputs.
StepKind kind_of_segments(std::initializer_list<std::pair<std::int64_t, StepOutput>> segments) {
  StepDemand demand;
  for (const auto& [n_rows, output] : segments) demand.add(n_rows, output, {});
  return kind_of(demand, false);
}

TEST(StepKinds, DependOnlyOnTheCombinedDemandOfTheSegments) {
  using enum StepOutput;
  // Chunks without output have the same kind, whether they belong to one sequence or to several.
  EXPECT_TRUE(kind_of_segments({{200, none}}) == kind_of_segments({{100, none}, {100, none}}));
  EXPECT_EQ(kind_of_segments({{200, none}}).output_bucket, 0);
  // The position of the chunk among the segments does not matter.
  const StepKind mixed = kind_of_segments({{200, none}, {1, token}, {1, token}});
  EXPECT_TRUE(mixed == kind_of_segments({{1, token}, {200, none}, {1, token}}));
  EXPECT_EQ(mixed.row_bucket, 256);
  EXPECT_EQ(mixed.output_bucket, 2);
  EXPECT_EQ(mixed.token_bucket, 4) << "a result for each segment";
  EXPECT_FALSE(mixed.reads_logits);
  const StepKind read = kind_of_segments({{1, token}, {6, all_logits}, {9, last_logits}});
  EXPECT_EQ(read.output_bucket, 8);
  EXPECT_TRUE(read.reads_logits);
  EXPECT_FALSE(read.all_rows);
  const StepKind all = kind_of_segments({{5, all_logits}, {3, all_logits}});
  EXPECT_TRUE(all.all_rows);
  EXPECT_EQ(all.token_bucket, 0);
}

TEST(Step, U64WordsKeepAll64Bits) {
  for (std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1} << 32, ~std::uint64_t{0},
                              std::uint64_t{0x0123456789abcdef}})
    EXPECT_EQ(U64Words::of(value).value(), value);
}

TEST(Step, ADefaultStepIsEmptyAndItsSamplerIsGreedy) {
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
