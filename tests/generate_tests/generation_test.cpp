// Tests of generations that advance token by token.
#include "generate/generation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/small_models.h"
#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

const std::vector<std::int32_t> kFirst = {5, 6, 7};
const std::vector<std::int32_t> kSecond = {300, 20, 900, 7};

OpenModel open_bundled(int run_ahead) {
  LoadOptions options;
  options.run_ahead = run_ahead;
  options.n_slots = 2;
  return open_model("cpu", 1, bundled_model_dir(), options);
}

GenerateOptions seeded(std::int64_t max_tokens) {
  GenerateOptions options;
  options.sampler.seed = 3;
  options.max_tokens = max_tokens;
  return options;
}

GenerateResult whole(Model& model, const std::vector<std::int32_t>& prompt,
                     const GenerateOptions& options) {
  State state = model.new_state();
  return generate(model, state, nullptr, prompt, options);
}

TEST(Generation, TwoTakeTurnsOnOneModel) {
  for (const int run_ahead : {0, 1, 3}) {
    OpenModel open = open_bundled(run_ahead);
    const GenerateOptions options = seeded(20);
    const GenerateResult alone[] = {whole(open.model, kFirst, options),
                                    whole(open.model, kSecond, options)};
    State states[] = {open.model.new_state(), open.model.new_state()};
    Generation first(open.model, states[0], nullptr, options);
    Generation second(open.model, states[1], nullptr, options);
    bool first_goes_on = first.begin(kFirst);
    first.hold();
    bool second_goes_on = second.begin(kSecond);
    second.hold();
    for (int turn = 0; first_goes_on || second_goes_on; ++turn) {
      if (first_goes_on) first_goes_on = first.advance();
      first.hold();
      if (second_goes_on && turn % 3 > 0) second_goes_on = second.advance();
      second.hold();
    }
    EXPECT_EQ(first.finish().token_ids, alone[0].token_ids) << run_ahead;
    EXPECT_EQ(second.finish().token_ids, alone[1].token_ids) << run_ahead;
  }
}

TEST(Generation, GoesOnWithACopyOfItsState) {
  for (const int run_ahead : {0, 1, 3}) {
    OpenModel open = open_bundled(run_ahead);
    const GenerateResult alone = whole(open.model, kFirst, seeded(12));
    for (int pause_after = 0; pause_after < 12; ++pause_after) {
      State state = open.model.new_state();
      Generation generation(open.model, state, nullptr, seeded(12));
      bool goes_on = generation.begin(kFirst);
      for (int n = 0; goes_on; ++n) {
        if (n == pause_after || n == 9) {
          generation.pause();
          const StateSnapshot copy = state.snapshot();
          state.reset();
          state.restore(copy);
        }
        goes_on = generation.advance();
      }
      EXPECT_EQ(generation.finish().token_ids, alone.token_ids) << run_ahead << pause_after;
      std::vector<std::int32_t> fed = kFirst;
      fed.insert(fed.end(), alone.token_ids.begin(), alone.token_ids.end());
      State expected = open.model.new_state();
      open.model.feed(expected, fed, StepOutput::none);
      EXPECT_EQ(state.snapshot(), expected.snapshot());
    }
  }
}

TEST(Generation, MayBeEndedAfterAnyToken) {
  OpenModel open = open_bundled(2);
  const std::vector<std::int32_t> all = whole(open.model, kFirst, seeded(8)).token_ids;
  for (const bool holds : {false, true})
    for (std::size_t n = 0; n < 8; ++n) {
      State state = open.model.new_state();
      Generation generation(open.model, state, nullptr, seeded(8));
      generation.begin(kFirst);
      if (holds) generation.hold();
      for (std::size_t i = 0; i < n; ++i) generation.advance();
      if (holds) generation.hold();
      const GenerateResult result = generation.finish();
      EXPECT_EQ(result.finish_reason, FinishReason::interrupted);
      EXPECT_TRUE(std::ranges::equal(result.token_ids, std::span(all).first(n)));
      std::vector<std::int32_t> fed = kFirst;
      fed.insert(fed.end(), result.token_ids.begin(), result.token_ids.end());
      State expected = open.model.new_state();
      open.model.feed(expected, fed, StepOutput::none);
      EXPECT_EQ(state.snapshot(), expected.snapshot()) << n << " tokens";
    }
}

TEST(Generation, EndsAtTheIdsThatTheCallerNames) {
  OpenModel open = open_bundled(2);
  const std::vector<std::int32_t> all = whole(open.model, kFirst, seeded(8)).token_ids;
  GenerateOptions options = seeded(8);
  options.stop_ids = {all[4]};
  options.ignore_eos = true;
  const GenerateResult result = whole(open.model, kFirst, options);
  EXPECT_EQ(result.stop_token, all[4]);
  const auto end = std::ranges::find(all, all[4]);
  EXPECT_TRUE(std::equal(all.begin(), end, result.token_ids.begin(), result.token_ids.end()));
}

}  // namespace
}  // namespace bitaxon::test
