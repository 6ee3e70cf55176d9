// Tests of `prepare`: files of examples become JSONL for training.
#include <gtest/gtest.h>

#include <filesystem>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRows =
    "[{\"instruction\": \"Add.\", \"output\": \"3\"},\n {\"instruction\": \"Add.\", \"output\": "
    "\"3\"},\n {\"instruction\": \"Greet.\", \"output\": \"Hail.\"}, {\"a\": 1}]";
constexpr const char* kGreeting =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Greet.\"},"
    "{\"role\":\"assistant\",\"content\":\"Hail.\"}]}\n";

class PrepareCli : public testing::Test {
 protected:
  PrepareCli() { surroundings_.folder = folder_.path(); }
  Finished prepare(const Arguments& arguments) const {
    return run(Arguments{"prepare"} + arguments, {}, surroundings_);
  }
  /// Adds a file of a data set to the hub cache.
  void add_cached(const std::string& name, const std::string& file, const std::string& text) {
    surroundings_.environment["HF_HUB_CACHE"] = (folder_ / "hub").string();
    const std::string root = "hub/datasets--" + name;
    folder_.write(root + "/refs/main", "c0ffee");
    folder_.write(root + "/snapshots/c0ffee/" + file, text);
  }

  TemporaryFolder folder_;
  Surroundings surroundings_;
};

TEST_F(PrepareCli, ConvertsAFileAndCounts) {
  folder_.write("rows.json", kRows);
  const Finished done = prepare({"rows.json", "-t", (bundled_model_dir()).string()});
  EXPECT_EQ(done.status, 0) << done.describe();
  for (const char* part : {"read          4 rows\n", "written       2 to rows_train.jsonl\n",
                           "duplicates    1, left out\n", "  1 x example: expected messages",
                           "rows.json:3 (entry 4): example: ",
                           "turns         2.0 a row, at most 2\n", "lengths       median "})
    EXPECT_NE(done.out.find(part), std::string::npos) << part << "\n" << done.out;
  EXPECT_TRUE(read_file(folder_ / "rows_train.jsonl").ends_with(kGreeting));
}

TEST_F(PrepareCli, PrintsJson) {
  folder_.write("rows.json", kRows);
  const Json json =
      run_json({"prepare", "rows.json", "--json", "--output", "out.jsonl", "--limit", "3",
                "--val-split", "0.5", "--format", "messages", "--split", "train"},
               {}, surroundings_);
  EXPECT_EQ(json.at("written"), 1);
  EXPECT_EQ(json.at("validation"), 1);
  EXPECT_EQ(json.at("validation_output"), "out.val.jsonl");
  EXPECT_TRUE(fs::exists(folder_ / "out.val.jsonl"));
}

TEST_F(PrepareCli, FindsADataSetInTheHubCache) {
  add_cached("owner--set", "data/train-00000-of-00002.jsonl", std::string(kGreeting));
  add_cached("owner--set", "data/train-00001-of-00002.jsonl",
             "{\"prompt\": \"Q\", \"completion\": \"A\"}");
  add_cached("owner--set", "data/test.jsonl", "{\"text\": 1}");
  const Finished done = prepare({"owner/set"});
  EXPECT_EQ(done.status, 0) << done.describe();
  EXPECT_NE(done.out.find("written       2 to owner_set_train.jsonl\n"), std::string::npos);
  EXPECT_EQ(prepare({"owner/set:data/train-00000-of-00002.jsonl", "-o", "one.jsonl"}).status, 0);
  EXPECT_EQ(read_file(folder_ / "one.jsonl"), kGreeting);
  add_cached("tatsu-lab--alpaca", "data/train.jsonl",
             "{\"instruction\": \"Q\", \"output\": \"A\"}");
  EXPECT_EQ(prepare({"alpaca", "--format", "alpaca"}).status, 0);
  EXPECT_TRUE(fs::exists(folder_ / "alpaca_train.jsonl"));
}

TEST_F(PrepareCli, RunsTheDocumentedLine) {
  add_cached("HuggingFaceH4--ultrachat", "train.jsonl", kGreeting);
  EXPECT_EQ(prepare({"HuggingFaceH4/ultrachat", "--format", "messages", "--output", "train.jsonl",
                     "--split", "train"})
                .status,
            0);
  EXPECT_EQ(read_file(folder_ / "train.jsonl"), kGreeting);
}

TEST_F(PrepareCli, SaysWhatIsWrong) {
  folder_.write("rows.json", kRows);
  folder_.write("rows.parquet", "PAR1");
  folder_.write("empty.jsonl", "\n\n");
  add_cached("owner--parts", "train-00000-of-00002.jsonl", kGreeting);
  add_cached("owner--folders", "a/train.jsonl", kGreeting);
  add_cached("owner--folders", "b/train.jsonl", kGreeting);
  struct Case {
    Arguments arguments;
    int status;
    const char* mentioned;
  };
  const Case cases[] = {
      {{}, 2, "INPUT"},
      {{"absent.jsonl"}, 1, "absent.jsonl: expected a file, owner/name:FILE or owner/name"},
      {{"owner/absent"}, 1, "`hf download owner/absent --repo-type dataset` fetches it"},
      {{"owner/parts"}, 1, "expected 2 parts of the split, as the names of its files say, found 1"},
      {{"owner/folders"}, 1, "name a file: owner/folders:a/train.jsonl"},
      {{"owner/folders", "--split", "test"},
       1,
       "expected a file of the split \"test\", found none"},
      {{"owner/folders:../x"}, 1, "expected the name of a file in it"},
      {{"owner/folders:c.jsonl"}, 1, "expected a file \"c.jsonl\""},
      {{"rows.parquet"}, 1, "expected JSON or JSONL, got Parquet"},
      {{"rows.json", "--format", "parquet"},
       2,
       "--format: expected messages, alpaca, orpo or text"},
      {{"rows.json", "--from", "x"}, 2, "--from: expected auto, messages"},
      {{"rows.json", "--limit", "0"}, 2, "--limit"},
      {{"rows.json", "--val-split", "1.5"}, 2, "--val-split"},
      {{"rows.json", "--val-split", "1"}, 2, "--val-split: expected a share that leaves rows"},
      {{"empty.jsonl"}, 1, "empty.jsonl: expected at least one row to write, got none of 0"},
      {{"rows.json", "rows.json"}, 2, "expected --output for several inputs"},
      {{"rows.json", "-o", "rows.json"}, 1, "expected another file than the input"},
      {{"rows.json", "-o", "absent/rows.jsonl"}, 1, "absent"},
      {{"rows.json", "--format", "orpo"},
       1,
       "rows.json: expected at least one row to write, got none of 4"},
  };
  for (const Case& one : cases) {
    const Finished done = prepare(one.arguments);
    EXPECT_EQ(done.status, one.status) << done.describe();
    EXPECT_NE(done.err.find(one.mentioned), std::string::npos) << done.err;
    EXPECT_EQ(done.err_lines().size(), 1U) << done.err;
    EXPECT_EQ(done.out, "");
  }
  EXPECT_EQ(read_file(folder_ / "rows.json"), kRows);
}

}  // namespace
}  // namespace bitaxon::test
