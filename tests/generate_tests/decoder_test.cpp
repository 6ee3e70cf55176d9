// Tests of the decode loop. With any run-ahead, the loop must give the same tokens and states as a
// loop that waits for each step.
#include "generate/decoder.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/small_models.h"

namespace bitaxon::test {
namespace {

constexpr int kRunAheads[] = {0, 1, 2, 8};

SamplerParams sampler(std::uint64_t seed) { return {.temperature = 1, .top_k = 0, .seed = seed}; }

OpenModel open(int run_ahead, int n_slots = 1) {
  return open_random("cpu", 2, small_config(),
                     {.precision = Precision::exact, .run_ahead = run_ahead, .n_slots = n_slots});
}

/// Decodes `n` tokens and waits for each step before the next begins. Returns the tokens.
std::vector<std::int32_t> one_by_one(Model& model, std::int32_t first, std::uint64_t seed,
                                     std::int64_t n, StateSnapshot& after) {
  State state = model.new_state();
  std::vector<std::int32_t> tokens = {first};
  for (std::int64_t i = 0; i < n; ++i)
    tokens.push_back(
        model.wait(model.feed(state, std::span(tokens).last(1), StepOutput::token, sampler(seed)))
            .tokens[0]);
  after = state.snapshot();
  return {tokens.begin() + 1, tokens.end()};
}

TEST(Decoder, TokensDoNotDependOnHowFarItRunsAhead) {
  for (const int run_ahead : kRunAheads) {
    OpenModel model = open(run_ahead);
    StateSnapshot expected_state;
    const std::int32_t first = 5;
    const auto expected = one_by_one(model.model, first, 3, 12, expected_state);
    State state = model.model.new_state();
    Decoder decoder(model.model, {{.state = &state, .ids = {&first, 1}, .sampler = sampler(3)}},
                    {.max_tokens = 12});
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 12; ++i) tokens.push_back(decoder.next().front());
    EXPECT_EQ(tokens, expected) << run_ahead;
    EXPECT_TRUE(state.snapshot() == expected_state) << run_ahead;
  }
}

TEST(Decoder, BatchedSequencesGetTheSameTokensAsSingleSequences) {
  OpenModel model = open(2, 3);
  std::vector<std::vector<std::int32_t>> expected;
  for (std::int32_t i = 0; i < 3; ++i) {
    StateSnapshot unused;
    expected.push_back(one_by_one(model.model, i, static_cast<std::uint64_t>(i), 8, unused));
  }
  std::vector<State> states;
  const std::vector<std::int32_t> first = {0, 1, 2};
  std::vector<SegmentInput> sequences;
  for (int i = 0; i < 3; ++i) states.push_back(model.model.new_state());
  for (std::size_t i = 0; i < 3; ++i)
    sequences.push_back(
        {.state = &states[i], .ids = std::span(first).subspan(i, 1), .sampler = sampler(i)});
  Decoder decoder(model.model, sequences, {.max_tokens = 8});
  for (std::size_t step = 0; step < 8; ++step) {
    const auto tokens = decoder.next();
    ASSERT_EQ(tokens.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(tokens[i], expected[i][step]);
  }
}

TEST(Decoder, TakeBackAndSettleKeepOnlyReturnedTokens) {
  for (const int run_ahead : kRunAheads) {
    for (const bool settles : {false, true}) {
      OpenModel model = open(run_ahead);
      const std::int32_t first = 5;
      StateSnapshot expected;
      // take_back() leaves the state as it was before the last returned token was fed. settle()
      // leaves the state as it is after this token was fed.
      one_by_one(model.model, first, 3, settles ? 5 : 4, expected);
      State state = model.model.new_state();
      Decoder decoder(model.model, {{.state = &state, .ids = {&first, 1}, .sampler = sampler(3)}},
                      {.max_tokens = 20, .feeds_last = true});
      for (int i = 0; i < 4; ++i) decoder.next();
      if (settles)
        decoder.settle();
      else
        decoder.take_back();
      EXPECT_EQ(state.position(), settles ? 5 : 4) << run_ahead;
      EXPECT_TRUE(state.snapshot() == expected) << run_ahead << settles;
    }
  }
}

TEST(Decoder, FeedsAPromptInChunksUntilTheCallerStops) {
  OpenModel model = open(2);
  const auto prompt = random_ids(1100, small_config().vocab_size, 4);
  State state = model.model.new_state();
  Decoder decoder(model.model, {{.state = &state, .ids = {}, .sampler = sampler(1)}},
                  {.max_tokens = 1});
  int n_asked = 0;
  EXPECT_FALSE(decoder.feed(prompt, [&] { return ++n_asked < 2; }));
  EXPECT_EQ(n_asked, 2);
  EXPECT_EQ(state.position(), 1024);
}

TEST(Decoder, ARefusedPromptChangesNothing) {
  OpenModel model = open(2);
  State state = model.model.new_state();
  Decoder decoder(model.model, {{.state = &state, .ids = {}, .sampler = sampler(1)}});
  const std::vector<std::int32_t> prompt = {1, 2, 61};
  const auto go_on = [] { return true; };
  expect_error([&] { decoder.feed(prompt, go_on); }, ErrorKind::invalid_argument,
               {"index 2", "61"});
  expect_error([&] { decoder.feed({}, go_on); }, ErrorKind::invalid_argument, {"at least one"});
  EXPECT_EQ(state.position(), 0);
}

}  // namespace
}  // namespace bitaxon::test
