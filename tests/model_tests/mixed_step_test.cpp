// Tests of steps whose segments ask for different outputs, such as a step with a chunk of a prompt
// and with sequences that sample. Each sequence must get the same bits as when it runs alone.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "support/errors.h"
#include "support/small_models.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr std::int64_t kVocab = 61;
constexpr std::size_t kChunk = 200;
constexpr std::size_t kDecoding = 7;
constexpr std::int32_t kNotSampled = StepResult::kNotSampled;

struct Setup {
  std::string device;
  int n_threads = 1;
  Precision precision = Precision::exact;
};

std::string name_of(const Setup& setup) {
  return fmt::format("{}_{}_{}", setup.device, bitaxon::name_of(setup.precision), setup.n_threads);
}

/// The sampler of a sequence: greedy, random, or random with a repetition penalty.
SamplerParams sampler_of(std::size_t sequence) {
  if (sequence % 3 == 0) return {.temperature = 0};
  return {.temperature = 0.9,
          .top_k = 20,
          .repetition_penalty = sequence % 3 == 1 ? 1.0 : 1.3,
          .seed = sequence};
}

class Mixed : public testing::TestWithParam<Setup> {
 protected:
  Mixed() : open_(open()), model_(open_.model) {}

  static OpenModel open() {
    LoadOptions options;
    options.precision = GetParam().precision;
    options.run_ahead = 2;
    options.n_slots = kDecoding + 1;
    // A float32 model computes exactly in both precisions, so precision fast needs a quantized
    // model.
    if (GetParam().precision == Precision::fast) options.quantize = "nf4";
    return open_random(GetParam().device, GetParam().n_threads, small_config(), options);
  }

  static std::vector<std::int32_t> prompt_of(std::size_t sequence) {
    return random_ids(3 + 11 * sequence, kVocab, static_cast<std::uint32_t>(40 + sequence));
  }

  std::vector<float> logits_of(std::size_t segment, std::size_t n_rows) {
    std::vector<float> logits(n_rows * kVocab);
    model_.read_logits(segment, logits);
    return logits;
  }
  std::int32_t token_of(Ticket ticket, std::size_t segment = 0) {
    return model_.wait(ticket).tokens[segment];
  }

  /// Runs a sequence alone and returns the tokens that it samples. `after` becomes its state after
  /// the last step.
  std::vector<std::int32_t> alone(std::size_t sequence, int n_tokens, StateSnapshot& after) {
    State state = model_.new_state();
    const SamplerParams sampler = sampler_of(sequence);
    std::vector<std::int32_t> tokens = {
        token_of(model_.feed(state, prompt_of(sequence), StepOutput::token, sampler))};
    const SegmentInput next{&state, {}, sampler};
    while (std::ssize(tokens) < n_tokens) tokens.push_back(token_of(model_.submit({&next, 1})));
    after = state.snapshot();
    return tokens;
  }

  OpenModel open_;
  Model& model_;
};

/// Seven sequences decode. The same steps also feed a prompt of two and a half chunks.
TEST_P(Mixed, SequencesGetTheSameBitsAsWhenTheyRunAlone) {
  constexpr int kSteps = 4;
  const auto ids = random_ids(2 * kChunk + 100, kVocab, 7);
  const auto chunk_of = [&](std::size_t step) {
    const std::size_t begin = std::min(step * kChunk, ids.size());
    return std::span(ids).subspan(begin, std::min(kChunk, ids.size() - begin));
  };
  std::vector<std::vector<std::int32_t>> expected(kDecoding), tokens(kDecoding);
  std::vector<StateSnapshot> after(kDecoding + 1);
  for (std::size_t g = 0; g < kDecoding; ++g) expected[g] = alone(g, 1 + kSteps, after[g]);
  std::vector<float> expected_logits;
  {
    State state = model_.new_state();
    for (std::size_t step = 0; step < 3; ++step)
      model_.feed(state, chunk_of(step), step < 2 ? StepOutput::none : StepOutput::last_logits);
    expected_logits = logits_of(0, 1);
    after[kDecoding] = state.snapshot();
  }

  State reading = model_.new_state();
  std::vector<State> states;
  for (std::size_t g = 0; g < kDecoding; ++g) {
    states.push_back(model_.new_state());
    tokens[g].push_back(
        token_of(model_.feed(states[g], prompt_of(g), StepOutput::token, sampler_of(g))));
  }
  for (std::size_t step = 0; step < kSteps; ++step) {
    std::vector<SegmentInput> segments;
    for (std::size_t g = 0; g < kDecoding; ++g) segments.push_back({&states[g], {}, sampler_of(g)});
    // The chunk is inserted as the third segment.
    if (step < 3)
      segments.insert(
          segments.begin() + 2,
          {&reading, chunk_of(step), {}, step < 2 ? StepOutput::none : StepOutput::last_logits});
    const StepResult result = model_.wait(model_.submit(segments));
    ASSERT_EQ(result.tokens.size(), segments.size());
    for (std::size_t g = 0; g < kDecoding; ++g)
      tokens[g].push_back(result.tokens[step < 3 && g >= 2 ? g + 1 : g]);
    if (step < 3) {
      EXPECT_EQ(result.tokens[2], kNotSampled);
    }
    if (step == 2) {
      EXPECT_TRUE(same_bits(logits_of(2, 1), expected_logits));
    }
  }
  for (std::size_t g = 0; g < kDecoding; ++g) {
    EXPECT_EQ(tokens[g], expected[g]) << "sequence " << g;
    EXPECT_TRUE(states[g].snapshot() == after[g]) << "sequence " << g;
  }
  EXPECT_TRUE(reading.snapshot() == after[kDecoding]);
}

TEST_P(Mixed, ASegmentReturnsWhatItAsksFor) {
  const StepOutput outputs[] = {StepOutput::token, StepOutput::all_logits, StepOutput::none,
                                StepOutput::token, StepOutput::last_logits};
  const std::size_t n_rows[] = {4, 6, 9, 1, 5};
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<State> states;
  std::vector<SegmentInput> segments;
  for (std::uint32_t g = 0; g < 5; ++g) ids.push_back(random_ids(n_rows[g], kVocab, 60 + g));
  for (std::size_t g = 0; g < 5; ++g) states.push_back(model_.new_state());
  for (std::size_t g = 0; g < 5; ++g)
    segments.push_back({&states[g], ids[g], sampler_of(g), outputs[g]});
  const Ticket ticket = model_.submit(segments);
  const std::vector<float> all = logits_of(1, 6), last = logits_of(4, 1);
  // Without a segment, read_logits() gives the logits of all segments that asked for logits, in the
  // order of the segments.
  std::vector<float> both(7 * kVocab);
  model_.read_logits(both);
  EXPECT_TRUE(same_bits(std::span(both).first(all.size()), all));
  EXPECT_TRUE(same_bits(std::span(both).subspan(all.size()), last));
  const auto tokens = model_.wait(ticket).tokens;
  const std::vector<std::int32_t> sampled(tokens.begin(), tokens.end());
  ASSERT_EQ(sampled.size(), 5U);
  for (const std::size_t g : {1u, 2u, 4u}) EXPECT_EQ(sampled[g], kNotSampled);
  for (const std::size_t g : {0u, 2u, 3u})
    expect_error([&] { logits_of(g, 1); }, ErrorKind::invalid_argument,
                 {"read_logits", "segment", fmt::format("got {}", g)});
  expect_error([&] { logits_of(5, 1); }, ErrorKind::invalid_argument, {"5", "got 5"});
  expect_error([&] { logits_of(1, 5); }, ErrorKind::invalid_argument, {"366", "305"});
  for (std::size_t g = 0; g < 5; ++g) {
    State state = model_.new_state();
    EXPECT_TRUE(states[g].has_sampled_token() == (outputs[g] == StepOutput::token));
    const Ticket own = model_.feed(state, ids[g], outputs[g], sampler_of(g));
    if (outputs[g] == StepOutput::token) {
      EXPECT_EQ(token_of(own), sampled[g]);
    }
    if (g == 1) {
      EXPECT_TRUE(same_bits(logits_of(0, 6), all));
    }
    if (g == 4) {
      EXPECT_TRUE(same_bits(logits_of(0, 1), last));
    }
    EXPECT_TRUE(state.snapshot() == states[g].snapshot()) << g;
  }
}

/// Mixed steps are submitted before the tokens that they feed back are known. Then these steps are
/// taken back.
TEST_P(Mixed, StepsRunAheadAndAreTakenBack) {
  const auto ids = random_ids(3 * kChunk, kVocab, 9);
  StateSnapshot after[2];
  std::vector<std::int32_t> expected[2];
  for (std::size_t g = 0; g < 2; ++g) expected[g] = alone(g + 1, 6, after[g]);
  State states[] = {model_.new_state(), model_.new_state()};
  State reading = model_.new_state();
  for (std::size_t g = 0; g < 2; ++g)
    model_.feed(states[g], prompt_of(g + 1), StepOutput::token, sampler_of(g + 1));
  const auto submit = [&](std::size_t chunk) {
    const SegmentInput segments[] = {
        {&states[0], {}, sampler_of(1)},
        {&reading, std::span(ids).subspan(chunk * kChunk, kChunk), {}, StepOutput::none},
        {&states[1], {}, sampler_of(2)}};
    return model_.submit(segments);
  };
  submit(0);
  const StateSnapshot one_chunk = reading.snapshot();
  std::vector<Ticket> tickets;
  for (std::size_t chunk = 1; chunk < 3; ++chunk) tickets.push_back(submit(chunk));
  // After the first round, both steps are taken back and submitted again. The second round must
  // give the same tokens.
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < 2; ++i) {
      const auto tokens = model_.wait(tickets[i]).tokens;
      EXPECT_EQ(tokens[0], expected[0][2 + i]);
      EXPECT_EQ(tokens[1], kNotSampled);
      EXPECT_EQ(tokens[2], expected[1][2 + i]);
    }
    if (round == 1) break;
    for (State* state : {&states[0], &states[1], &reading}) state->rewind(2);
    EXPECT_TRUE(reading.snapshot() == one_chunk);
    for (std::size_t chunk = 1; chunk < 3; ++chunk) tickets[chunk - 1] = submit(chunk);
  }
  // Here only one of the sequences takes back a step.
  states[1].rewind(1);
  const SegmentInput again{&states[1], {}, sampler_of(2)};
  EXPECT_EQ(token_of(model_.submit({&again, 1})), expected[1][3]);
  for (std::size_t g = 0; g < 2; ++g) {
    const SegmentInput next{&states[g], {}, sampler_of(g + 1)};
    for (std::size_t i = 4; i < 6; ++i)
      EXPECT_EQ(token_of(model_.submit({&next, 1})), expected[g][i]);
    EXPECT_TRUE(states[g].snapshot() == after[g]) << g;
  }
}

/// After a step without output, there is no token to feed back. If this step is taken back, the
/// last sampled token can be fed back again.
TEST_P(Mixed, TakingBackAStepWithoutOutputRestoresTheSampledToken) {
  StateSnapshot after;
  const auto expected = alone(5, 2, after);
  State state = model_.new_state(), other = model_.new_state();
  model_.feed(state, prompt_of(5), StepOutput::token, sampler_of(5));
  const auto ids = random_ids(30, kVocab, 3);
  const SegmentInput mixed[] = {{&state, ids, {}, StepOutput::none},
                                {&other, ids, sampler_of(1), StepOutput::token}};
  EXPECT_EQ(model_.wait(model_.submit(mixed)).tokens[0], kNotSampled);
  const SegmentInput next{&state, {}, sampler_of(5)};
  expect_error([&] { model_.submit({&next, 1}); }, ErrorKind::invalid_argument, {"ids"});
  state.rewind(1);
  EXPECT_EQ(token_of(model_.submit({&next, 1})), expected[1]);
  EXPECT_TRUE(state.snapshot() == after);
}

INSTANTIATE_TEST_SUITE_P(On, Mixed,
                         testing::Values(Setup{"reference"}, Setup{"cpu"}, Setup{"cpu", 3},
                                         Setup{"cpu", 2, Precision::fast}),
                         [](const auto& one) { return name_of(one.param); });

// ---- more states than a step has segments

TEST(ManyStates, TakeTurns) {
  constexpr std::size_t kStates = 40;
  LoadOptions options;
  options.precision = Precision::exact;
  options.n_slots = kStates;
  OpenModel open = open_random("cpu", 2, small_config(), options);
  Model& model = open.model;
  std::vector<State> states;
  for (std::size_t i = 0; i < kStates; ++i) states.push_back(model.new_state());
  expect_error([&] { model.new_state(); }, ErrorKind::invalid_argument, {"free slot", "all 40"});
  const auto ids = random_ids(kStates, kVocab, 5);
  const auto segment = [&](std::size_t i, bool first) {
    return SegmentInput{&states[i],
                        first ? std::span(ids).subspan(i, 1) : std::span<const std::int32_t>(),
                        sampler_of(i)};
  };
  std::vector<std::vector<std::int32_t>> tokens(kStates);
  // Every step continues 32 of the 40 states, but not always the same ones.
  std::size_t at = 0;
  for (int step = 0; step < 5; ++step) {
    std::vector<SegmentInput> segments;
    for (std::int32_t g = 0; g < kMaxSegments; ++g) {
      const std::size_t i = (at + static_cast<std::size_t>(g)) % kStates;
      segments.push_back(segment(i, tokens[i].empty()));
    }
    const auto result = model.wait(model.submit(segments)).tokens;
    for (const std::int32_t token : result) tokens[at++ % kStates].push_back(token);
  }
  for (std::size_t i = 0; i < kStates; ++i) {
    EXPECT_EQ(tokens[i].size(), 4U);
    const StateSnapshot after = states[i].snapshot();
    states[i].reset();
    for (std::size_t t = 0; t < tokens[i].size(); ++t) {
      const SegmentInput alone = segment(i, t == 0);
      EXPECT_EQ(model.wait(model.submit({&alone, 1})).tokens[0], tokens[i][t]) << i;
    }
    EXPECT_TRUE(states[i].snapshot() == after) << i;
  }
  std::vector<SegmentInput> all;
  for (std::size_t i = 0; i < kStates; ++i) all.push_back(segment(i, false));
  expect_error([&] { model.submit(all); }, ErrorKind::invalid_argument, {"1..32", "got 40"});
}

}  // namespace
}  // namespace bitaxon::test
