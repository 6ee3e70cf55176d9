// Ids, masks, packed rows and pairs of the original program, exactly.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "formats/json_file.h"
#include "platform/file.h"
#include "training/data/batches.h"
#include "training_tests/data_files.h"

namespace bitaxon::test {
namespace {

using Ids = std::vector<std::int32_t>;

std::filesystem::path recorded(const std::string& name) {
  return golden_dir() / "training" / "data" / name;
}

Json expected(const std::string& name) {
  const Json all = read_json_file(recorded("expected.json"));
  return all.at(name);
}

DataOptions like_original(std::int64_t max_seq_len, Objective objective = Objective::sft) {
  return {.objective = objective, .max_seq_len = max_seq_len, .mask = MaskStyle::like_original};
}

Dataset open_recorded(const std::string& name, const DataOptions& options) {
  const std::vector<std::string> paths = {recorded(name).string()};
  return Dataset::open(paths, bundled_vocabulary(), JinjaTemplate::chatml(), options);
}

Ids mask_of(const MaskedTokens& tokens) {
  return {tokens.is_target.begin(), tokens.is_target.end()};
}

void expect_rows(const std::string& file) {
  const Dataset data = open_recorded(file, like_original(96));
  const Json rows = expected(file);
  ASSERT_EQ(data.size(), rows.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    SCOPED_TRACE(data.place_of(i));
    const EncodedExample example = data.encode(i);
    EXPECT_EQ(example.text.ids, rows[i].at("ids").get<Ids>());
    EXPECT_EQ(mask_of(example.text), rows[i].at("mask").get<Ids>());
  }
}

TEST(RecordedData, GivesTheIdsAndMasksOfConversations) { expect_rows("sft.jsonl"); }
TEST(RecordedData, GivesTheIdsAndMasksOfAlpaca) { expect_rows("alpaca.jsonl"); }

TEST(RecordedData, MasksNothingIfEveryTokenIsATarget) {
  DataOptions options = like_original(96);
  options.train_on = TrainOn::all;
  const Dataset data = open_recorded("sft.jsonl", options);
  const Json masks = expected("sft.jsonl, mask_prompt off");
  for (std::size_t i = 0; i < data.size(); ++i)
    EXPECT_EQ(mask_of(data.encode(i).text), masks[i].get<Ids>());
}

TEST(RecordedData, GivesTheIdsAndMasksOfPairs) {
  const Dataset data = open_recorded("orpo.jsonl", like_original(96, Objective::orpo));
  const Json pairs = expected("orpo.jsonl");
  ASSERT_EQ(data.size(), pairs.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    SCOPED_TRACE(data.place_of(i));
    const EncodedExample pair = data.encode(i);
    EXPECT_EQ(pair.text.ids, pairs[i].at("chosen_ids").get<Ids>());
    EXPECT_EQ(mask_of(pair.text), pairs[i].at("chosen_mask").get<Ids>());
    EXPECT_EQ(pair.rejected.ids, pairs[i].at("rejected_ids").get<Ids>());
    EXPECT_EQ(mask_of(pair.rejected), pairs[i].at("rejected_mask").get<Ids>());
  }
  EXPECT_EQ(data.survey().n_without_targets, 1);  // no answer is left of the third pair
}

/// The lines of a file in another order.
std::string reordered(const std::string& file, const std::vector<std::size_t>& order) {
  std::vector<std::string> lines;
  const std::string text = read_whole_file(recorded(file), 1 << 20);
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    if (!line.empty()) lines.push_back(line + "\n");
  }
  std::string out;
  for (const std::size_t i : order) out += lines.at(i);
  return out;
}

/// Whether a recorded row is the sequence. The sequence ends at the last target.
void expect_row(const TrainSequence& sequence, const Json& inputs, const Json& labels) {
  const Ids all_inputs = inputs.get<Ids>(), all_labels = labels.get<Ids>();
  const auto last = std::find_if(all_labels.rbegin(), all_labels.rend(),
                                 [](std::int32_t label) { return label >= 0; });
  const auto n = all_labels.rend() - last;
  EXPECT_EQ(sequence.ids, Ids(all_inputs.begin(), all_inputs.begin() + n));
  EXPECT_EQ(sequence.labels, Ids(all_labels.begin(), all_labels.begin() + n));
}

bool has_targets(const Json& labels) {
  return std::ranges::any_of(labels.get<Ids>(), [](std::int32_t label) { return label >= 0; });
}

TEST(RecordedData, PacksRowsAsTheOriginalDoes) {
  for (const Json& variant : expected("packed sft.jsonl")) {
    SCOPED_TRACE(variant.at("order").dump());
    const DataFolder folder;
    const Dataset data =
        folder.open(reordered("sft.jsonl", variant.at("order").get<std::vector<std::size_t>>()),
                    like_original(variant.at("max_seq_len").get<std::int64_t>()));
    Batches batches(data, {.packing = Packing::concat,
                           .shuffle = false,
                           .epochs = 1,
                           .separator = variant.at("separator").get<std::int32_t>()});
    for (const Json& batch : variant.at("batches")) {
      for (std::size_t row = 0; row < batch.at("inputs").size(); ++row) {
        if (!has_targets(batch.at("labels")[row])) continue;
        const MicroBatch next = batches.next();
        ASSERT_EQ(next.sequences.size(), 1U);
        expect_row(next.sequences[0], batch.at("inputs")[row], batch.at("labels")[row]);
      }
    }
  }
}

/// Checks a text of a pair. The original leaves the labels unshifted.
void expect_answer(const TrainSequence& sequence, const Json& ids, const Json& labels) {
  const Ids all_ids = ids.get<Ids>(), unshifted = labels.get<Ids>();
  Json shifted(Ids(unshifted.begin() + 1, unshifted.end()));
  expect_row(sequence, Json(Ids(all_ids.begin(), all_ids.end() - 1)), shifted);
}

TEST(RecordedData, BatchesPairsAsTheOriginalDoes) {
  for (const Json& variant : expected("orpo batches")) {
    const DataFolder folder;
    const Dataset data =
        folder.open(reordered("orpo.jsonl", variant.at("order").get<std::vector<std::size_t>>()),
                    like_original(variant.at("max_seq_len").get<std::int64_t>(), Objective::orpo));
    Batches batches(data, {.shuffle = false, .epochs = 1});
    for (const Json& batch : variant.at("batches")) {
      for (std::size_t pair = 0; pair < batch.at("chosen_ids").size(); ++pair) {
        if (!has_targets(batch.at("chosen_labels")[pair])) continue;
        const MicroBatch next = batches.next();
        ASSERT_EQ(next.sequences.size(), 2U);
        expect_answer(next.sequences[0], batch.at("chosen_ids")[pair],
                      batch.at("chosen_labels")[pair]);
        expect_answer(next.sequences[1], batch.at("rejected_ids")[pair],
                      batch.at("rejected_labels")[pair]);
      }
    }
  }
}

}  // namespace
}  // namespace bitaxon::test
