// Tests of the state of a sequence. The state does not depend on how the ids are split. Rewinding
// restores the earlier state exactly. A snapshot with another layout is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>

#include "cpu/cpu_backend.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

LoadOptions with(Precision precision, int run_ahead, int n_slots = 1) {
  LoadOptions options;
  options.precision = precision;
  options.run_ahead = run_ahead;
  options.n_slots = n_slots;
  return options;
}

struct Outcome {
  std::vector<float> logits;
  StateSnapshot snapshot;
};

Outcome run_pieces(Model& model, std::span<const std::int32_t> ids,
                   std::span<const std::size_t> pieces) {
  State state = model.new_state();
  Outcome run;
  run.logits = feed_pieces(model, state, ids, pieces);
  run.snapshot = state.snapshot();
  return run;
}

// ---- splits of the ids

struct Device {
  const char* selector;
  Precision precision;
  std::vector<int> threads;
};

TEST(LengthyStateSplits, LeaveTheSameBits) {
  const Device devices[] = {{"reference", Precision::exact, {1}},
                            {"cpu", Precision::exact, {1, 2, 3, 7}},
                            {"cpu", Precision::fast, {1, 2, 3, 7}}};
  const auto ids = random_ids(70, small_config().vocab_size, 1);
  const std::vector<std::vector<std::size_t>> splits = {equal_pieces(ids.size(), 512),
                                                        equal_pieces(ids.size(), 1),
                                                        random_pieces(ids.size(), 5, 1),
                                                        random_pieces(ids.size(), 33, 2),
                                                        {1, 68, 1}};
  for (const Device& device : devices) {
    Outcome expected;
    for (const int n_threads : device.threads)
      for (const int run_ahead : {0, 1, 2, 8}) {
        OpenModel open = open_random(device.selector, n_threads, small_config(),
                                     with(device.precision, run_ahead));
        ASSERT_EQ(open.model.precision(), device.precision);
        for (std::size_t i = 0; i < splits.size(); ++i) {
          const Outcome run = run_pieces(open.model, ids, splits[i]);
          if (expected.logits.empty()) expected = run;
          const std::string what =
              fmt::format("{} {}, {} threads, run-ahead {}, split {}", device.selector,
                          name_of(device.precision), n_threads, run_ahead, i);
          EXPECT_TRUE(same_bits(run.logits, expected.logits)) << what;
          EXPECT_TRUE(run.snapshot == expected.snapshot) << what;
        }
      }
  }
}

TEST(StateSplits, LeaveTheSameBitsInEveryStoredFormat) {
  for (const char* folder : {"tiny_window", "tiny_mixed", "tiny_nf4", "tiny_q4_linear_only"}) {
    const auto file = golden_dir() / folder / "model.safetensors";
    for (const Precision precision : {Precision::exact, Precision::fast}) {
      OpenModel open = open_model("cpu", 2, file, with(precision, 2));
      const auto ids = random_ids(40, open.model.spec().vocab_size, 4);
      const Outcome whole = run_pieces(open.model, ids, equal_pieces(ids.size(), 512));
      for (const std::uint32_t seed : {1u, 2u}) {
        const Outcome pieces = run_pieces(open.model, ids, random_pieces(ids.size(), 12, seed));
        EXPECT_TRUE(same_bits(pieces.logits, whole.logits)) << folder;
        EXPECT_TRUE(pieces.snapshot == whole.snapshot) << folder;
      }
    }
  }
}

/// The tests above are meaningful only if several threads compute. This test shows that they do.
TEST(StateSplits, SeveralThreadsComputeAStep) {
  BitAxonConfig config = small_config();
  config.hidden_dim = 64;
  OpenModel open = open_random("cpu", 7, config, with(Precision::exact, 0));
  const auto ids = random_ids(256, config.vocab_size, 2);
  const auto n_working = [&] {
    int n = 0;
    for (int thread = 0; thread < 7; ++thread) n += cpu::items_run(*open.backend, thread) > 0;
    return n;
  };
  State state = open.model.new_state();
  // On a busy machine, a thread may miss many steps, because no loop waits for a sleeping thread.
  for (int step = 0; step < 2000 && n_working() < 2; ++step) {
    state.reset();
    open.model.wait(open.model.feed(state, ids, StepOutput::none));
  }
  EXPECT_GE(n_working(), 2);
}

// ---- rewinding steps

/// Feeds `ids` to a new state. Returns the logits of every row and a snapshot of the state.
Outcome fresh(const BitAxonConfig& config, const LoadOptions& options,
              std::span<const std::int32_t> ids) {
  OpenModel open = open_random("cpu", 1, config, options);
  State state = open.model.new_state();
  Outcome run;
  run.logits = feed_all(open.model, state, ids);
  run.snapshot = state.snapshot();
  return run;
}

TEST(StateRewind, RewindsAnyNumberOfStepsAcrossTheEndOfAPage) {
  // A page of the KV cache has 64 rows, so a page ends at position 1088.
  const BitAxonConfig config = small_config();
  const auto options = with(Precision::fast, 8);
  const auto ids = random_ids(1150, config.vocab_size, 3);
  const std::size_t vocab_size = static_cast<std::size_t>(config.vocab_size);
  OpenModel open = open_random("cpu", 1, config, options);
  State state = open.model.new_state();
  feed_all(open.model, state, std::span(ids).first(1076));
  std::size_t position = 1076;
  for (int n_back = 1; n_back <= 8; ++n_back) {
    const StateSnapshot before = state.snapshot();
    const auto wrong = random_ids(8, config.vocab_size, 100 + static_cast<std::uint32_t>(n_back));
    for (int i = 0; i < n_back; ++i)
      open.model.feed(state, {&wrong[static_cast<std::size_t>(i)], 1}, StepOutput::token);
    ASSERT_GE(state.rewindable_steps(), n_back);
    state.rewind(n_back);
    EXPECT_EQ(state.position(), static_cast<std::int64_t>(position));
    EXPECT_TRUE(state.snapshot() == before) << n_back;
    // Continues with the next three of the original tokens.
    feed_pieces(open.model, state, std::span(ids).subspan(position, 3), equal_pieces(3, 1));
    position += 3;
  }
  const auto rest = feed_all(open.model, state, std::span(ids).subspan(position));
  const Outcome expected = fresh(config, options, ids);
  EXPECT_TRUE(same_bits(rest, std::span(expected.logits).subspan(position * vocab_size)));
  EXPECT_TRUE(state.snapshot() == expected.snapshot);
}

TEST(StateRewind, RewindsChunksWhoseWindowIsStillHeld) {
  const BitAxonConfig config = small_config();
  const auto options = with(Precision::exact, 2);
  const auto ids = random_ids(1400, config.vocab_size, 5);
  OpenModel open = open_random("cpu", 1, config, options);
  State state = open.model.new_state();
  feed_all(open.model, state, std::span(ids).first(600));
  const StateSnapshot before = state.snapshot();
  const auto feed = [&](std::size_t from, std::size_t n) {
    open.model.feed(state, std::span(ids).subspan(from, n), StepOutput::none);
  };
  feed(600, 300);
  feed(900, 200);
  EXPECT_EQ(state.rewindable_steps(), 2);
  state.rewind(2);
  EXPECT_TRUE(state.snapshot() == before);
  // At most 512 + run-ahead rows can be rewound.
  feed(600, 512);
  feed(1112, 2);
  EXPECT_EQ(state.rewindable_steps(), 2);
  state.rewind(2);
  EXPECT_TRUE(state.snapshot() == before);
  feed(600, 512);
  feed(1112, 3);
  EXPECT_EQ(state.rewindable_steps(), 1);
  const StateSnapshot after = state.snapshot();
  expect_error([&] { state.rewind(2); }, ErrorKind::invalid_argument, {"rewind", "0..1", "got 2"});
  expect_error([&] { state.rewind(-1); }, ErrorKind::invalid_argument, {"rewind", "got -1"});
  EXPECT_TRUE(state.snapshot() == after);
}

/// A chunk gives back the pages that only older steps need. Rewinding the chunk does not restore them.
TEST(StateRewind, RewoundChunksHaveGivenBackPages) {
  const BitAxonConfig config = small_config();
  const auto options = with(Precision::exact, 8);
  const auto ids = random_ids(2000, config.vocab_size, 6);
  OpenModel open = open_random("cpu", 1, config, options);
  State state = open.model.new_state();
  feed_all(open.model, state, std::span(ids).first(900));
  for (std::size_t at = 900; at < 1300; at += 100)
    open.model.feed(state, std::span(ids).subspan(at, 100), StepOutput::none);
  open.model.feed(state, std::span(ids).subspan(1300, 500), StepOutput::none);
  state.rewind(1);
  while (state.rewindable_steps() > 0) {
    state.rewind(1);
    const auto position = static_cast<std::size_t>(state.position());
    const Outcome expected = fresh(config, options, std::span(ids).first(position));
    ASSERT_TRUE(state.snapshot() == expected.snapshot) << position;
  }
  expect_error([&] { state.rewind(1); }, ErrorKind::invalid_argument, {"rewind", "got 1"});
  // The state must be able to continue from its current position.
  const auto position = static_cast<std::size_t>(state.position());
  feed_all(open.model, state, std::span(ids).subspan(position));
  EXPECT_TRUE(state.snapshot() == fresh(config, options, ids).snapshot);
}

TEST(StateRewind, WithoutRunAheadNoStepCanBeRewound) {
  OpenModel open = open_random("cpu", 1, small_config(), with(Precision::exact, 0));
  State state = open.model.new_state();
  feed_all(open.model, state, random_ids(5, 61, 1));
  EXPECT_EQ(state.rewindable_steps(), 0);
  state.rewind(0);
  expect_error([&] { state.rewind(1); }, ErrorKind::invalid_argument, {"rewind", "0..0", "got 1"});
  EXPECT_EQ(state.position(), 5);
}

// ---- reset, snapshot, restore

TEST(StateReset, EqualsANewState) {
  for (const int run_ahead : {0, 2}) {
    OpenModel open = open_random("cpu", 1, small_config(), with(Precision::fast, run_ahead));
    const auto ids = random_ids(40, 61, 8);
    State state = open.model.new_state();
    const StateSnapshot empty = state.snapshot();
    EXPECT_EQ(empty.position, 0);
    const auto first = feed_all(open.model, state, ids);
    const StateSnapshot full = state.snapshot();
    state.reset();
    EXPECT_EQ(state.position(), 0);
    EXPECT_EQ(state.rewindable_steps(), 0);
    EXPECT_TRUE(state.snapshot() == empty);
    EXPECT_TRUE(same_bits(feed_all(open.model, state, ids), first));
    EXPECT_TRUE(state.snapshot() == full);
  }
}

TEST(StateSnapshots, RestoreIntoAnySlotAndModel) {
  const BitAxonConfig config = small_config();
  const auto ids = random_ids(700, config.vocab_size, 9);
  const auto head = std::span(ids).first(650);
  const auto tail = std::span(ids).subspan(650);
  OpenModel a = open_random("cpu", 1, config, with(Precision::exact, 2));
  State first = a.model.new_state();
  feed_all(a.model, first, head);
  const StateSnapshot snapshot = first.snapshot();
  const auto expected = feed_all(a.model, first, tail);
  OpenModel b = open_random("cpu", 2, config, with(Precision::exact, 8, 3));
  std::vector<State> states;
  for (int i = 0; i < 3; ++i) states.push_back(b.model.new_state());
  feed_all(b.model, states[2], std::span(ids).first(33));
  states[2].restore(snapshot);
  EXPECT_EQ(states[2].position(), 650);
  EXPECT_EQ(states[2].rewindable_steps(), 0);
  EXPECT_TRUE(states[2].snapshot() == snapshot);
  EXPECT_TRUE(same_bits(feed_all(b.model, states[2], tail), expected));
  // The snapshot also restores the first state, although this state has continued since then.
  first.restore(snapshot);
  EXPECT_TRUE(same_bits(feed_all(a.model, first, tail), expected));
}

TEST(StateSnapshots, OfAnotherLayoutAreRefused) {
  BitAxonConfig other = small_config();
  other.ssm_d_state = 5;
  OpenModel a = open_random("cpu", 1, small_config(), with(Precision::exact, 1));
  OpenModel b = open_random("cpu", 1, other, with(Precision::exact, 1));
  State from = b.model.new_state();
  feed_all(b.model, from, random_ids(20, 61, 1));
  State to = a.model.new_state();
  feed_all(a.model, to, random_ids(20, 61, 2));
  const StateSnapshot before = to.snapshot();
  expect_error([&] { to.restore(from.snapshot()); }, ErrorKind::invalid_argument, {"snapshot"});
  StateSnapshot beyond = before;
  beyond.position = other.max_seq_len + 1;
  expect_error([&] { to.restore(beyond); }, ErrorKind::invalid_argument, {"snapshot"});
  expect_error([&] { to.restore({}); }, ErrorKind::invalid_argument, {"snapshot"});
  EXPECT_TRUE(to.snapshot() == before);
}

TEST(StateSlots, ANewStateHasNoTokenToFeedBack) {
  OpenModel open = open_random("cpu", 1, small_config(), with(Precision::exact, 2));
  State state = open.model.new_state();
  const SegmentInput feed_back{&state, {}, {}};
  const auto feed = [&] { open.model.submit({&feed_back, 1}); };
  expect_error(feed, ErrorKind::invalid_argument, {"ids"});
  open.model.feed(state, random_ids(3, 61, 1), StepOutput::token);
  feed();
  EXPECT_EQ(state.position(), 4);
}

TEST(StateSlots, AreFreedWithTheirStates) {
  OpenModel open = open_random("cpu", 1, small_config(), with(Precision::exact, 1, 2));
  State a = open.model.new_state();
  {
    const State b = open.model.new_state();
    expect_error([&] { open.model.new_state(); }, ErrorKind::invalid_argument, {"slot", "2"});
  }
  State c = open.model.new_state();
  expect_error([&] { open.model.new_state(); }, ErrorKind::invalid_argument, {"slot"});
  c = std::move(a);  // frees the slot of c; c then has the slot of a
  feed_all(open.model, c, random_ids(4, 61, 1));
  EXPECT_EQ(c.position(), 4);
}

// ---- lifetimes

TEST(StateLifetimes, AStateKeepsItsMemoryAndItsBackend) {
  const auto ids = random_ids(9, 61, 1);
  for (const char* device : {"reference", "cpu"}) {
    std::weak_ptr<Backend> backend;
    std::optional<State> state;
    StateSnapshot before;
    {
      OpenModel open = open_random(device, 2, small_config(), with(Precision::exact, 1, 2));
      backend = open.backend;
      open.backend.reset();
      state.emplace(open.model.new_state());
      State dropped_first = open.model.new_state();
      feed_all(open.model, *state, ids);
      before = state->snapshot();
    }
    EXPECT_FALSE(backend.expired());
    EXPECT_EQ(state->position(), 9);
    EXPECT_EQ(state->snapshot(), before);
    state->reset();
    state->restore(before);
    EXPECT_EQ(state->snapshot(), before);
    state.reset();
    EXPECT_TRUE(backend.expired()) << device;
  }
}

TEST(StateLifetimes, AModelMayBeDestroyedWhileItsStepsAreInFlight) {
  for (const char* device : {"reference", "cpu"}) {
    std::optional<State> state;
    {
      OpenModel open = open_random(device, 2, small_config(), with(Precision::exact, 2));
      state.emplace(open.model.new_state());
      open.model.feed(*state, random_ids(40, 61, 1), StepOutput::token);
    }
    EXPECT_EQ(state->snapshot().position, 40);
  }
}

// ---- limits

TEST(StateLimits, TokensBeyondMaxSeqLenAreRefused) {
  BitAxonConfig config = small_config();
  config.max_seq_len = 50;
  OpenModel open = open_random("cpu", 1, config, with(Precision::exact, 2));
  const auto ids = random_ids(600, config.vocab_size, 11);
  State state = open.model.new_state();
  feed_all(open.model, state, std::span(ids).first(48));
  const StateSnapshot before = state.snapshot();
  const auto refuse = [&](std::size_t n, const char* length) {
    expect_error([&] { open.model.feed(state, std::span(ids).first(n), StepOutput::none); },
                 ErrorKind::invalid_argument, {length, "max_seq_len", "50"});
    EXPECT_EQ(state.position(), 48);
    EXPECT_TRUE(state.snapshot() == before);
  };
  refuse(3, "51");
  refuse(600, "648");  // not even the first chunk of these tokens is fed
  feed_all(open.model, state, std::span(ids).first(2));
  EXPECT_EQ(state.position(), 50);
  const SegmentInput feed_back{&state, {}, {}};
  expect_error(
      [&] {
        open.model.submit({&feed_back, 1});
      },
      ErrorKind::invalid_argument, {"51", "max_seq_len", "50"});
}

TEST(StateLimits, IdsOutsideTheVocabularyChangeNothing) {
  OpenModel open = open_random("cpu", 1, small_config(), with(Precision::exact, 2));
  auto ids = random_ids(600, 61, 12);
  State state = open.model.new_state();
  feed_all(open.model, state, std::span(ids).first(10));
  const StateSnapshot before = state.snapshot();
  for (const std::int32_t bad : {61, -1, INT32_MAX, INT32_MIN}) {
    ids[599] = bad;
    expect_error([&] { open.model.feed(state, ids, StepOutput::none); },
                 ErrorKind::invalid_argument, {"599", "0..60", fmt::format("got {}", bad)});
    EXPECT_EQ(state.position(), 10);
    EXPECT_TRUE(state.snapshot() == before);
  }
}

TEST(StateLimits, AnInvalidSamplerChangesNothing) {
  OpenModel open = open_random("cpu", 1, small_config(), with(Precision::exact, 2));
  State state = open.model.new_state();
  for (const std::size_t n : {5u, 600u})
    expect_error(
        [&] {
          open.model.feed(state, random_ids(n, 61, 1), StepOutput::token, {.temperature = -1});
        },
        ErrorKind::invalid_argument, {"temperature"});
  EXPECT_EQ(state.position(), 0);
}

TEST(StateLimits, LoadOptionsOutsideTheirRangesAreRefused) {
  const auto load = [](int run_ahead, int n_slots) {
    return
        [=] { open_random("cpu", 1, small_config(), with(Precision::exact, run_ahead, n_slots)); };
  };
  expect_error(load(-1, 1), ErrorKind::invalid_argument, {"run-ahead", "0..8", "got -1"});
  expect_error(load(9, 1), ErrorKind::invalid_argument, {"run-ahead", "0..8", "got 9"});
  expect_error(load(1, 0), ErrorKind::invalid_argument, {"slots", "1..4096", "got 0"});
  expect_error(load(1, 4097), ErrorKind::invalid_argument, {"slots", "1..4096", "got 4097"});
}

}  // namespace
}  // namespace bitaxon::test
