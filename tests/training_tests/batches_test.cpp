// The order of training data, and how examples share rows.
#include "training/data/batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "support/errors.h"
#include "training/data/order.h"
#include "training_tests/data_files.h"

namespace bitaxon::test {
namespace {

TEST(ShuffledOrder, IsAPermutationThatDependsOnSeedAndEpoch) {
  std::vector<std::uint32_t> order = shuffled_order(100, 42, 0);
  EXPECT_EQ(order, shuffled_order(100, 42, 0));
  EXPECT_NE(order, shuffled_order(100, 42, 1));
  EXPECT_NE(order, shuffled_order(100, 43, 0));
  std::ranges::sort(order);
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(ShuffledOrder, GivesEveryOrderAlikeOften) {
  std::map<std::vector<std::uint32_t>, int> counts;
  for (std::uint64_t epoch = 0; epoch < 6000; ++epoch) ++counts[shuffled_order(3, 1, epoch)];
  EXPECT_EQ(counts.size(), 6U);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 150);
}

/// Lines whose answers have between 1 and 40 letters.
std::string lines(int n) {
  std::string text;
  for (int i = 0; i < n; ++i)
    text += chat_line("Q" + std::to_string(i),
                      std::string(static_cast<std::size_t>(i * 7 % 40 + 1), 'a'));
  return text;
}

Dataset some_data(const DataFolder& folder, int n = 20) {
  return folder.open(lines(n), {.max_seq_len = 64});
}

bool same(const MicroBatch& a, const MicroBatch& b) {
  const auto same_sequence = [](const TrainSequence& x, const TrainSequence& y) {
    return x.ids == y.ids && x.labels == y.labels && x.micro_batch == y.micro_batch &&
           x.first_row == y.first_row;
  };
  return std::ranges::equal(a.sequences, b.sequences, same_sequence) && a.examples == b.examples;
}

class EachPacking : public testing::TestWithParam<Packing> {};
INSTANTIATE_TEST_SUITE_P(Batches, EachPacking,
                         testing::Values(Packing::isolated, Packing::concat, Packing::none));

TEST_P(EachPacking, ContinuesFromAnyPosition) {
  const DataFolder folder;
  const Dataset data = some_data(folder);
  const BatchOptions options{.batch_size = 2, .packing = GetParam(), .seed = 5};
  Batches whole(data, options);
  for (int i = 0; i < 40; ++i) {
    const DataPosition before = whole.position();
    EXPECT_EQ(before.micro_batch, static_cast<std::uint64_t>(i));
    const MicroBatch next = whole.next();
    Batches again(data, options, before);
    EXPECT_TRUE(same(again.next(), next)) << i;
    EXPECT_EQ(again.position(), whole.position());
  }
  EXPECT_GT(whole.position().epoch, 1U);
}

TEST_P(EachPacking, UsesEveryExampleOnceInAnEpoch) {
  const DataFolder folder;
  const Dataset data = some_data(folder);
  Batches batches(data, {.batch_size = 3, .packing = GetParam(), .epochs = 1});
  std::vector<std::size_t> examples;
  std::int64_t n_targets = 0;
  for (MicroBatch next = batches.next(); !next.sequences.empty(); next = batches.next()) {
    examples.insert(examples.end(), next.examples.begin(), next.examples.end());
    n_targets += next.n_targets;
    EXPECT_LE(next.n_tokens, 3 * 64);
  }
  std::ranges::sort(examples);
  examples.erase(std::unique(examples.begin(), examples.end()), examples.end());
  EXPECT_EQ(examples.size(), data.size());
  // A target that is the first token of a row is lost where rows cut examples.
  const std::int64_t all = data.survey().n_targets;
  EXPECT_LE(n_targets, all);
  EXPECT_GE(n_targets, GetParam() == Packing::concat ? all - 20 : all);
}

TEST(Batches, EachEpochHasAnotherOrder) {
  const DataFolder folder;
  Batches batches(some_data(folder), {.batch_size = 20, .packing = Packing::none});
  const MicroBatch first = batches.next(), second = batches.next();
  EXPECT_EQ(first.examples.size(), 20U);
  EXPECT_NE(first.examples, second.examples);
}

TEST(Batches, IsolatedRowsTakeExamplesUntilOneDoesNotFit) {
  const DataFolder folder;
  const Dataset data = some_data(folder);
  Batches batches(data, {.shuffle = false, .epochs = 1});
  std::size_t n = 0;
  for (MicroBatch next = batches.next(); !next.sequences.empty(); next = batches.next()) {
    ASSERT_EQ(next.sequences.size(), next.examples.size());
    std::uint64_t row = 0;
    for (std::size_t i = 0; i < next.sequences.size(); ++i) {
      EXPECT_EQ(next.examples[i], n++);
      EXPECT_EQ(next.sequences[i].first_row, row);
      row += next.sequences[i].ids.size();
      EXPECT_GE(next.sequences[i].labels.back(), 0);
    }
    EXPECT_LE(row, 64U);
    if (n < data.size()) {
      Batches alone(data, {.packing = Packing::none, .shuffle = false}, {.next_example = n});
      EXPECT_GT(row + alone.next().sequences[0].ids.size(), 64U);
    }
  }
  EXPECT_EQ(n, data.size());
}

TEST(Batches, LabelsAreTheNextTokens) {
  const DataFolder folder;
  const Dataset data = folder.open(chat_line("Q", "A"));
  Batches batches(data, {});
  const TrainSequence sequence = batches.next().sequences.at(0);
  const MaskedTokens tokens = data.encode(0).text;
  ASSERT_EQ(sequence.ids.size(), sequence.labels.size());
  for (std::size_t i = 0; i < sequence.ids.size(); ++i) {
    EXPECT_EQ(sequence.ids[i], tokens.ids[i]);
    EXPECT_EQ(sequence.labels[i], tokens.is_target[i + 1] ? tokens.ids[i + 1] : -100);
  }
}

TEST(Batches, RefuseDataThatHasNoTargets) {
  const DataFolder folder;
  const Dataset data = folder.open(chat_line(std::string(300, 'x'), "A"), {.max_seq_len = 32});
  for (const Packing packing : {Packing::isolated, Packing::concat, Packing::none}) {
    Batches batches(data, {.packing = packing});
    expect_error([&] { batches.next(); }, ErrorKind::format, {"expected an example with a target"});
  }
}

TEST(Batches, RefuseAPlaceThatIsNoneOfTheData) {
  const DataFolder folder;
  const Dataset data = some_data(folder);
  const auto refused = [&](Packing packing, const DataPosition& place, const char* what) {
    expect_error([&] { Batches(data, {.packing = packing}, place); }, ErrorKind::invalid_argument,
                 {"position: expected ", what});
  };
  refused(Packing::isolated, {.next_example = 21}, "at most 20 examples, got 21");
  refused(Packing::concat, {.next_token = 9999}, ", got 9999");
  refused(Packing::concat, {.next_example = 20, .next_token = 1}, "a token below 1 ");
  refused(Packing::none, {.next_token = 1}, "a token below 1 ");
}

TEST(Batches, LeaveOutExamplesWithoutTargets) {
  const DataFolder folder;
  const Dataset data =
      folder.open(chat_line(std::string(300, 'x'), "A") + chat_line("Q", "A"), {.max_seq_len = 32});
  Batches batches(data, {.batch_size = 4});
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(batches.next().examples, (std::vector<std::size_t>{1, 1, 1, 1}));
}

TEST(Batches, PairsFollowEachOther) {
  const DataFolder folder;
  std::string text;
  for (int i = 0; i < 5; ++i)
    text += R"({"prompt": "Q", "chosen": "A", "rejected": "Bad )" + std::to_string(i) + "\"}\n";
  const Dataset data = folder.open(text, {.objective = Objective::orpo});
  Batches batches(data, {.batch_size = 2, .shuffle = false, .epochs = 1});
  EXPECT_EQ(batches.next().sequences.size(), 4U);
  EXPECT_EQ(batches.next().examples, (std::vector<std::size_t>{2, 3}));
  EXPECT_EQ(batches.next().sequences.size(), 2U);
  EXPECT_TRUE(batches.next().sequences.empty());
}

}  // namespace
}  // namespace bitaxon::test
