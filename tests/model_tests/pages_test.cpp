// Tests of the pages of the KV cache: how sequences take, share and give back pages, and that the
// results of a model do not depend on any of this.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>

#include "model/sequence_pages.h"
#include "support/borrowed_backend.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/tensors.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {
namespace {

/// The small model. Without a window, its attention layers read all earlier rows.
ModelSpec small_spec(bool has_window) {
  ModelSpec spec = small_config().spec();
  for (BlockSpec& block : spec.blocks)
    if (auto* attention = std::get_if<AttentionSpec>(&block.mixer); attention && !has_window)
      attention->window.reset();
  return spec;
}

/// The same, with a window in one of the two attention layers only.
ModelSpec mixed_spec() {
  ModelSpec spec = small_spec(true);
  for (BlockSpec& block : spec.blocks) {
    auto* attention = std::get_if<AttentionSpec>(&block.mixer);
    if (attention == nullptr) continue;
    attention->window.reset();
    break;
  }
  return spec;
}

std::vector<std::pair<const char*, ModelSpec>> specs() {
  return {{"window", small_spec(true)}, {"all rows", small_spec(false)}, {"mixed", mixed_spec()}};
}

LoadOptions with(int n_slots, int run_ahead = 2) {
  LoadOptions options;
  options.precision = Precision::exact;
  options.n_slots = n_slots;
  options.run_ahead = run_ahead;
  return options;
}

OpenModel open_spec(const char* device, const ModelSpec& spec, const LoadOptions& options) {
  auto backend = open_device(device, {.n_threads = 2}).backend;
  Model model = Model::random(backend, spec, 1, options);
  return {std::move(backend), std::move(model)};
}

// ---- pages of sequences

TEST(PageCounts, AFreePageHasNoUse) {
  PageCounts counts(5);
  EXPECT_EQ(counts.n_free(), 0);
  counts.grow(3);
  EXPECT_EQ(counts.take(), 0U);
  EXPECT_EQ(counts.take(), 1U);
  EXPECT_EQ(counts.n_used(), 2);
  counts.share(0);
  EXPECT_TRUE(counts.is_shared(0));
  counts.give_back(0);
  EXPECT_FALSE(counts.is_shared(0));
  EXPECT_EQ(counts.n_used(), 2);
  counts.give_back(0);
  EXPECT_EQ(counts.n_used(), 1);
  counts.grow(5);
  EXPECT_EQ(counts.n_free(), 4);
  EXPECT_EQ(counts.take(), 0U) << "the free page with the lowest number";
}

/// A pool of the small model's state, and sequences that take pages from it.
class Sequences : public testing::Test {
 protected:
  std::shared_ptr<StatePool> pool(const ModelSpec& spec, int n_slots) {
    return std::make_shared<StatePool>(
        spec, backend_,
        StatePoolOptions{.n_slots = n_slots, .run_ahead = 2, .context = spec.max_seq_len});
  }
  static void reserve(StatePool& pool, const SequencePages& pages,
                      const SequencePages::Rows& rows) {
    std::vector<std::int32_t> needed(pool.layout().page_groups.size(), 0);
    pages.add_needed(rows, needed);
    pool.reserve_pages(needed);
  }
  static std::int32_t n_used(const StatePool& pool) {
    std::int32_t n = 0;
    for (std::size_t g = 0; g < pool.layout().page_groups.size(); ++g) n += pool.counts(g).n_used();
    return n;
  }

  std::shared_ptr<Backend> backend_ = open_device("reference").backend;
};

TEST_F(Sequences, HoldEveryRowThatAStepReadsAndNoMoreThanTheirShare) {
  for (const auto& [name, spec] : specs()) {
    SCOPED_TRACE(name);
    const auto from = pool(spec, 1);
    SequencePages pages(*from);
    std::int64_t position = 0;
    std::int64_t kept_from = 0;
    std::mt19937 random(1);
    const auto below = [&](std::int64_t n) {
      return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    for (int step = 0; step < 200; ++step) {
      const std::int64_t n_rows = 1 + below(step % 3 == 0 ? 512 : 5);
      if (position + n_rows > 20000) break;
      const std::int64_t end = position + n_rows;
      kept_from = std::max(kept_from, end - 514);
      const SequencePages::Rows rows{kept_from, position, end};
      reserve(*from, pages, rows);
      pages.release(rows);
      pages.take(rows);
      StepBuffer buffer;
      pages.write_tables(buffer, buffer.segments[0]);
      for (std::size_t g = 0; g < from->layout().page_groups.size(); ++g) {
        const auto window = from->layout().page_groups[g].window.value_or(end);
        std::set<std::uint32_t> distinct;
        for (std::int64_t p = std::max<std::int64_t>(0, rows.kept_from - window); p < end; ++p) {
          const std::uint32_t page =
              page_of(buffer, buffer.segments[0], static_cast<std::uint32_t>(g),
                      static_cast<std::uint32_t>(p / kPageRows));
          ASSERT_EQ(page, pages.page_of(g, p));
          distinct.insert(page);
        }
        ASSERT_EQ(distinct.size(), static_cast<std::size_t>(from->counts(g).n_used()));
        ASSERT_LE(from->counts(g).n_used(), from->pages_per_slot(g));
      }
      position = end - (step % 5 == 0 ? below(std::min<std::int64_t>(n_rows, 100)) : 0);
      pages.truncate(position);
    }
    EXPECT_GT(n_used(*from), 0);
    pages.clear();
    EXPECT_EQ(n_used(*from), 0);
  }
}

TEST_F(Sequences, ShareFullPagesAndCopyTheOnesTheyWriteTo) {
  const auto from = pool(small_spec(false), 2);
  std::optional<SequencePages> a(std::in_place, *from);
  const SequencePages::Rows first{0, 0, 100};
  reserve(*from, *a, first);
  a->take(first);
  EXPECT_EQ(n_used(*from), 2);
  {
    SequencePages b(*from);
    b.share(*a);
    EXPECT_EQ(n_used(*from), 2);
    const SequencePages::Rows next{0, 100, 101};
    reserve(*from, b, next);
    b.take(next);
    EXPECT_EQ(n_used(*from), 3);
    EXPECT_EQ(b.page_of(0, 0), a->page_of(0, 0));
    EXPECT_NE(b.page_of(0, 99), a->page_of(0, 99));
    // The other sequence is now the only one that uses its last page.
    const std::uint32_t own = a->page_of(0, 99);
    reserve(*from, *a, next);
    a->take(next);
    EXPECT_EQ(a->page_of(0, 99), own);
    EXPECT_EQ(n_used(*from), 3);
    a.reset();
    EXPECT_EQ(n_used(*from), 2);
  }
  EXPECT_EQ(n_used(*from), 0);
}

TEST_F(Sequences, AFullPoolIsRefusedAndUnchanged) {
  ModelSpec spec = small_spec(false);
  spec.max_seq_len = 200;
  const auto from = pool(spec, 1);
  SequencePages pages(*from);
  const SequencePages::Rows rows{0, 0, 200};
  reserve(*from, pages, rows);
  pages.take(rows);
  const SequencePages other(*from);
  expect_error(
      [&] {
        reserve(*from, other, {0, 0, 1});
      },
      ErrorKind::device, {"KV cache is full", "256 tokens"});
  EXPECT_EQ(n_used(*from), 4);
}

// ---- forks

/// Logits and the state of a sequence that is fed alone.
struct Alone {
  std::vector<float> logits;
  StateSnapshot snapshot;
};
Alone run_alone(Model& model, std::span<const std::int32_t> ids) {
  State state = model.new_state();
  Alone run;
  run.logits = feed_pieces(model, state, ids, equal_pieces(ids.size(), 100));
  run.snapshot = state.snapshot();
  return run;
}

TEST(Forks, AForkedPairEqualsTwoSeparateSequences) {
  for (const char* device : {"reference", "cpu"})
    for (const auto& [name, spec] : specs()) {
      OpenModel open = open_spec(device, spec, with(3));
      for (const std::size_t at : {0U, 1U, 63U, 64U, 65U, 100U, 192U}) {
        SCOPED_TRACE(fmt::format("{}, {}, at {}", device, name, at));
        const auto ids = random_ids(at + 80, spec.vocab_size, 3);
        auto other = ids;
        const auto tail = random_ids(80, spec.vocab_size, 4);
        std::copy(tail.begin(), tail.end(), other.begin() + static_cast<std::ptrdiff_t>(at));
        const Alone expected_a = run_alone(open.model, ids);
        const Alone expected_b = run_alone(open.model, other);
        State a = open.model.new_state();
        // The fork happens while the steps before it may still be running.
        if (at > 0) open.model.feed(a, std::span(ids).first(at), StepOutput::none);
        State b = a.fork();
        EXPECT_EQ(b.position(), static_cast<std::int64_t>(at));
        EXPECT_EQ(b.rewindable_steps(), 0);
        std::vector<float> logits_a, logits_b;
        for (std::size_t i = at; i < ids.size(); i += 40) {
          const auto more_a = feed_all(open.model, a, std::span(ids).subspan(i, 40));
          const auto more_b = feed_all(open.model, b, std::span(other).subspan(i, 40));
          logits_a.insert(logits_a.end(), more_a.begin(), more_a.end());
          logits_b.insert(logits_b.end(), more_b.begin(), more_b.end());
        }
        EXPECT_TRUE(same_bits(logits_a, std::span(expected_a.logits).last(logits_a.size())));
        EXPECT_TRUE(same_bits(logits_b, std::span(expected_b.logits).last(logits_b.size())));
        EXPECT_TRUE(a.snapshot() == expected_a.snapshot);
        EXPECT_TRUE(b.snapshot() == expected_b.snapshot);
      }
    }
}

TEST(Forks, AParentThatIsRewoundLeavesItsForksUnchanged) {
  for (const auto& [name, spec] : specs()) {
    SCOPED_TRACE(name);
    OpenModel open = open_spec("cpu", spec, with(3));
    const auto ids = random_ids(130, spec.vocab_size, 5);
    State a = open.model.new_state();
    feed_all(open.model, a, std::span(ids).first(60));
    const StateSnapshot before = a.snapshot();
    open.model.feed(a, std::span(ids).subspan(60, 70), StepOutput::none);
    State b = a.fork();
    State c = b.fork();
    const StateSnapshot after = a.snapshot();
    a.rewind(1);
    EXPECT_TRUE(a.snapshot() == before);
    feed_all(open.model, a, random_ids(70, spec.vocab_size, 6));
    EXPECT_TRUE(b.snapshot() == after);
    EXPECT_TRUE(c.snapshot() == after);
    a.reset();
    feed_all(open.model, b, random_ids(9, spec.vocab_size, 7));
    EXPECT_TRUE(c.snapshot() == after);
  }
}

TEST(Forks, KeepTheTokenToBeFedBack) {
  OpenModel open = open_spec("cpu", small_spec(false), with(2));
  State a = open.model.new_state();
  open.model.feed(a, random_ids(70, 61, 1), StepOutput::token);
  State b = a.fork();
  ASSERT_TRUE(b.has_sampled_token());
  std::vector<std::int32_t> tokens[2];
  for (int i = 0; i < 5; ++i)
    for (State* state : {&a, &b}) {
      const SegmentInput feed_back{state, {}, {.temperature = 0}};
      tokens[state == &b].push_back(open.model.wait(open.model.submit({&feed_back, 1})).tokens[0]);
    }
  EXPECT_EQ(tokens[0], tokens[1]);
  EXPECT_TRUE(a.snapshot() == b.snapshot());
}

TEST(Forks, NeedAFreeSlot) {
  OpenModel open = open_spec("cpu", small_spec(true), with(1));
  State a = open.model.new_state();
  expect_invalid([&] { a.fork(); }, "slot");
}

TEST(Forks, ShareTheContextOfTheirParent) {
  for (const auto& [name, spec] : specs()) {
    SCOPED_TRACE(name);
    LoadOptions options = with(1);
    options.context = 1200;
    options.n_forks = 1;
    OpenModel open = open_spec("cpu", spec, options);
    const auto ids = random_ids(1200, spec.vocab_size, 8);
    const Alone expected = run_alone(open.model, ids);
    State a = open.model.new_state();
    feed_all(open.model, a, std::span(ids).first(700));
    State point = a.fork();
    expect_invalid([&] { a.fork(); }, "all 2 are taken");
    feed_all(open.model, a, random_ids(500, spec.vocab_size, 9));
    // Both states go back to the point and on to the end of the context.
    for (int i = 0; i < 2; ++i) {
      a = std::move(point);
      point = a.fork();
      feed_all(open.model, a, std::span(ids).subspan(700));
      EXPECT_TRUE(a.snapshot() == expected.snapshot);
    }
  }
}

TEST(Forks, TakeNoMemoryForAContext) {
  const ModelSpec spec = small_spec(false);
  const auto state_bytes = [&](int n_slots, int n_forks) {
    LoadOptions options = with(n_slots);
    options.n_forks = n_forks;
    return open_spec("cpu", spec, options).model.state_bytes();
  };
  const auto context_bytes = [&] {
    const OpenModel open = open_spec("cpu", spec, with(1));
    return open.model.bytes_per_token() * static_cast<std::uint64_t>(spec.max_seq_len);
  }();
  EXPECT_LT(state_bytes(1, 1), state_bytes(1, 0) + context_bytes / 4);
  EXPECT_GT(state_bytes(2, 0), state_bytes(1, 0) + context_bytes);
  LoadOptions wrong = with(1);
  wrong.n_forks = -1;
  expect_invalid([&] { open_spec("cpu", spec, wrong); }, "forks: expected 0..");
}

// ---- growth

TEST(Growth, DoesNotChangeResults) {
  for (const char* device : {"reference", "cpu"})
    for (const auto& [name, spec] : specs()) {
      SCOPED_TRACE(fmt::format("{}, {}", device, name));
      const auto ids = random_ids(1500, spec.vocab_size, 9);
      OpenModel open = open_spec(device, spec, with(2));
      State a = open.model.new_state();
      const auto growing = feed_all(open.model, a, ids);
      const StateSnapshot first = a.snapshot();
      a.reset();
      // Now the pool has enough pages.
      EXPECT_TRUE(same_bits(feed_all(open.model, a, ids), growing));
      EXPECT_TRUE(a.snapshot() == first);
    }
}

TEST(Growth, TwoSequencesInOneStepEqualEachAlone) {
  const ModelSpec spec = mixed_spec();
  OpenModel open = open_spec("cpu", spec, with(3));
  const auto ids = random_ids(700, spec.vocab_size, 1);
  const auto other = random_ids(700, spec.vocab_size, 2);
  const Alone expected_a = run_alone(open.model, ids);
  const Alone expected_b = run_alone(open.model, other);
  State a = open.model.new_state();
  State b = open.model.new_state();
  for (std::size_t i = 0; i < ids.size(); i += 100) {
    const SegmentInput segments[] = {{&a, std::span(ids).subspan(i, 100), {}, StepOutput::none},
                                     {&b, std::span(other).subspan(i, 100), {}, StepOutput::none}};
    open.model.submit(segments);
  }
  EXPECT_TRUE(a.snapshot() == expected_a.snapshot);
  EXPECT_TRUE(b.snapshot() == expected_b.snapshot);
}

TEST(Growth, WithoutMemoryOneErrorSaysSoAndNothingIsLost) {
  WrappedBackend backend(open_device("cpu", {.n_threads = 1}).backend);
  const ModelSpec spec = small_spec(false);
  Model model = Model::random(borrowed(backend), spec, 1, with(2));
  const auto ids = random_ids(1400, spec.vocab_size, 2);
  State a = model.new_state();
  feed_all(model, a, std::span(ids).first(1000));
  const StateSnapshot before = a.snapshot();
  backend.before_allocation = [](std::size_t size_bytes, BufferUse use) {
    if (use == BufferUse::state)
      throw Error(ErrorKind::device, fmt::format("no memory for {} bytes", size_bytes));
  };
  const auto feed = [&] { model.feed(a, std::span(ids).subspan(1000), StepOutput::none); };
  expect_error(feed, ErrorKind::device, {"no memory for keys and values", "tokens"});
  EXPECT_TRUE(a.snapshot() == before);
  // What needs no more memory still runs.
  State b = model.new_state();
  expect_error([&] { model.feed(b, ids, StepOutput::none); }, ErrorKind::device, {"no memory"});
  backend.before_allocation = {};
  feed();
  const StateSnapshot after = a.snapshot();
  a.reset();
  feed_all(model, a, ids);
  EXPECT_TRUE(a.snapshot() == after);
}

// ---- saved states

/// The file was written by version 0.1, whose KV cache was a ring buffer.
TEST(OldStates, Continue) {
  const auto folder = golden_dir();
  OpenModel open = open_model("reference", 1, folder / "tiny_window" / "model.safetensors");
  State state = open.model.new_state();
  state.load(folder / "states" / "tiny_window.safetensors");
  EXPECT_EQ(state.position(), 70);
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 67; ++i) ids.push_back(i * 7 % 256);
  ids.insert(ids.end(), {232, 55, 55});  // the tokens of the answer
  const auto more = random_ids(20, 256, 1);
  const auto continued = feed_all(open.model, state, more);
  ids.insert(ids.end(), more.begin(), more.end());
  state.reset();
  const auto whole = feed_all(open.model, state, ids);
  expect_close(continued, std::span(whole).last(continued.size()), 20, 1e-5, "logits");
}

// ---- the length of the context

TEST(Context, BoundsASequence) {
  LoadOptions options = with(1);
  options.context = 70;
  OpenModel open = open_spec("cpu", small_spec(false), options);
  EXPECT_EQ(open.model.context(), 70);
  State state = open.model.new_state();
  const auto ids = random_ids(80, 61, 1);
  expect_invalid([&] { open.model.feed(state, ids, StepOutput::none); },
                 "the context, which is 70");
  feed_all(open.model, state, std::span(ids).first(70));
  expect_invalid([&] { state.synthesize(71, 1); }, "the context, which is 70");
  for (const std::int64_t wrong : {std::int64_t{0}, small_config().max_seq_len + 1}) {
    options.context = wrong;
    expect_invalid([&] { open_spec("cpu", small_spec(false), options); },
                   fmt::format("context: expected 1..{}", small_config().max_seq_len));
  }
}

TEST(Context, IsAsLongAsFitsIntoMemory) {
  WrappedBackend backend(open_device("cpu", {.n_threads = 1}).backend);
  const ModelSpec spec = small_spec(false);
  std::uint64_t available = UINT64_MAX;
  backend.change_description = [&](ChangedDescription& changed) {
    for (MemoryKind& kind : changed.kinds) kind.available_bytes = available;
  };
  const auto load = [&](std::optional<std::int64_t> context) {
    LoadOptions options = with(1);
    options.context = context;
    return Model::random(borrowed(backend), spec, 1, options);
  };
  EXPECT_EQ(load({}).context(), spec.max_seq_len);
  const Model small = load(1000);
  // Two attention layers with keys and values of the width of the model.
  EXPECT_EQ(small.bytes_per_token(), 2U * 2U * 4U * static_cast<std::uint64_t>(spec.d_model));
  const std::uint64_t rest = small.packed_bytes() + small.arena_bytes() + (std::uint64_t{1} << 20);
  available = rest + 2000 * small.bytes_per_token();
  const std::int64_t fits = load({}).context();
  EXPECT_GT(fits, 1000);
  EXPECT_LT(fits, spec.max_seq_len);
  EXPECT_EQ(load(fits).context(), fits);
  expect_error([&] { load(fits + 64); }, ErrorKind::device,
               {"does not fit", fmt::format("a context of {} tokens", fits + 64), "per token"});
  available = 1000;
  expect_error([&] { load({}); }, ErrorKind::device, {"does not fit"});
}

}  // namespace
}  // namespace bitaxon::test
