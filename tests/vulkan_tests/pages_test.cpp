// Tests that forks and growing pages do not change what a GPU computes. Equal steps must give equal
// bits.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/borrowed_backend.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

/// The small model with one attention layer that reads all earlier rows.
ModelSpec mixed_spec() {
  ModelSpec spec = small_config().spec();
  for (BlockSpec& block : spec.blocks) {
    auto* attention = std::get_if<AttentionSpec>(&block.mixer);
    if (attention == nullptr) continue;
    attention->window.reset();
    break;
  }
  return spec;
}

Model load(const ModelSpec& spec, int n_slots) {
  return Model::random(borrowed(vulkan_backend()), spec, 1,
                       {.precision = Precision::exact, .n_slots = n_slots});
}

/// Feeds the ids in pieces: a long one, then pieces of 7.
void feed_rest(Model& model, State& state, std::span<const std::int32_t> ids) {
  for (std::size_t i = 0; i < ids.size(); i += 7)
    model.feed(state, ids.subspan(i, std::min<std::size_t>(7, ids.size() - i)), StepOutput::none);
}

TEST(VulkanPages, AForkedPairEqualsTwoSeparateSequences) {
  const ModelSpec spec = mixed_spec();
  Model model = load(spec, 3);
  for (const std::size_t at : {63U, 64U, 100U}) {
    SCOPED_TRACE(at);
    const auto head = random_ids(at, spec.vocab_size, 1);
    const auto tail_a = random_ids(40, spec.vocab_size, 2);
    const auto tail_b = random_ids(40, spec.vocab_size, 3);
    const auto alone = [&](std::span<const std::int32_t> tail) {
      State state = model.new_state();
      model.feed(state, head, StepOutput::none);
      feed_rest(model, state, tail);
      return state.snapshot();
    };
    const StateSnapshot expected_a = alone(tail_a);
    const StateSnapshot expected_b = alone(tail_b);
    State a = model.new_state();
    model.feed(a, head, StepOutput::none);
    State b = a.fork();  // the step before may still be running
    State c = b.fork();
    feed_rest(model, b, tail_b);
    feed_rest(model, a, tail_a);
    EXPECT_TRUE(a.snapshot() == expected_a);
    EXPECT_TRUE(b.snapshot() == expected_b);
    feed_rest(model, c, tail_a);
    EXPECT_TRUE(c.snapshot() == expected_a);
  }
}

TEST(VulkanPages, GrowthDoesNotChangeResults) {
  const ModelSpec spec = mixed_spec();
  Model model = load(spec, 1);
  const auto ids = random_ids(1300, spec.vocab_size, 4);
  State state = model.new_state();
  feed_all(model, state, ids);
  const StateSnapshot first = state.snapshot();
  state.reset();
  feed_all(model, state, ids);  // now the pool has enough pages
  EXPECT_TRUE(state.snapshot() == first);
}

TEST(VulkanPages, ARewoundStepLeavesForksUnchanged) {
  const ModelSpec spec = mixed_spec();
  Model model = load(spec, 2);
  State a = model.new_state();
  model.feed(a, random_ids(60, spec.vocab_size, 1), StepOutput::none);
  model.feed(a, random_ids(30, spec.vocab_size, 2), StepOutput::none);
  State b = a.fork();
  const StateSnapshot before = b.snapshot();
  a.rewind(1);
  model.feed(a, random_ids(50, spec.vocab_size, 3), StepOutput::none);
  EXPECT_TRUE(b.snapshot() == before);
}

}  // namespace
}  // namespace bitaxon::test
