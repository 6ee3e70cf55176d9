// Converting files of examples to one form.
#include "training/data/prepare.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "platform/file.h"
#include "support/errors.h"
#include "support/temporary_folder.h"
#include "training_tests/data_files.h"

namespace bitaxon::test {
namespace {

/// Prepares files of one folder.
class Prepare : public testing::Test {
 protected:
  PrepareReport prepared(const std::string& content, const PrepareOptions& options = {}) {
    const std::filesystem::path inputs[] = {folder_.write("in.jsonl", content)};
    return prepare(inputs, output(), validation(), options).value();
  }
  std::filesystem::path output() const { return folder_ / "out.jsonl"; }
  std::filesystem::path validation() const { return folder_ / "out.val.jsonl"; }
  static std::string text(const std::filesystem::path& path) {
    return read_whole_file(path, 1 << 20);
  }
  /// What one line becomes.
  std::string line(const std::string& content, CanonicalForm to,
                   std::optional<ExampleForm> from = std::nullopt) {
    prepared(content, {.from = from, .to = to});
    return text(output());
  }

  TemporaryFolder folder_;
};

constexpr const char* kAlpaca = R"({"instruction":"Add.","input":"1, 2","output":"3","id":7})";
constexpr const char* kChat =
    R"({"messages":[{"role":"user","content":"é"},{"role":"assistant","content":"A"}]})";
constexpr const char* kPair = R"({"prompt":"Q","chosen":"A","rejected":"B"})";

TEST_F(Prepare, WritesEveryForm) {
  EXPECT_EQ(line(kAlpaca, CanonicalForm::messages),
            "{\"messages\":[{\"role\":\"user\",\"content\":\"Add.\\n\\n1, 2\"},"
            "{\"role\":\"assistant\",\"content\":\"3\"}]}\n");
  EXPECT_EQ(line(kChat, CanonicalForm::messages), std::string(kChat) + "\n");
  EXPECT_EQ(line(kAlpaca, CanonicalForm::alpaca),
            "{\"instruction\":\"Add.\",\"input\":\"1, 2\",\"output\":\"3\"}\n");
  EXPECT_EQ(line(kChat, CanonicalForm::alpaca),
            "{\"instruction\":\"é\",\"input\":\"\",\"output\":\"A\"}\n");
  EXPECT_EQ(
      line(kChat, CanonicalForm::text),
      "{\"text\":\"<|im_start|>user\\né<|im_end|>\\n<|im_start|>assistant\\nA<|im_end|>\"}\n");
  EXPECT_EQ(line(kPair, CanonicalForm::orpo),
            "{\"prompt\":[{\"role\":\"user\",\"content\":\"Q\"}],"
            "\"chosen\":[{\"role\":\"assistant\",\"content\":\"A\"}],"
            "\"rejected\":[{\"role\":\"assistant\",\"content\":\"B\"}]}\n");
  EXPECT_EQ(line(kPair, CanonicalForm::alpaca, ExampleForm::orpo),
            "{\"instruction\":\"Q\",\"input\":\"\",\"output\":\"A\"}\n");
}

TEST_F(Prepare, TakesTheChosenAnswerOfAPair) {
  const std::string chat =
      "{\"messages\":[{\"role\":\"user\",\"content\":\"Q\"},"
      "{\"role\":\"assistant\",\"content\":\"A\"}]}\n";
  EXPECT_EQ(line(kPair, CanonicalForm::messages), chat);
  EXPECT_EQ(line(R"({"chosen":"\n\nHuman: Q\n\nAssistant: A",)"
                 R"("rejected":"\n\nHuman: Q\n\nAssistant: B"})",
                 CanonicalForm::messages),
            chat);
  EXPECT_EQ(line(kPair, CanonicalForm::alpaca),
            "{\"instruction\":\"Q\",\"input\":\"\",\"output\":\"A\"}\n");
}

TEST_F(Prepare, IsTheSameWhenItIsDoneTwice) {
  prepared(std::string(kAlpaca) + "\n" + kChat);
  const std::string once = text(output());
  prepared(once);
  EXPECT_EQ(text(output()), once);
}

TEST_F(Prepare, LeavesOutDuplicatesAndWhatItRefuses) {
  const PrepareReport report = prepared(std::string(kChat) + "\n" + kAlpaca + "\n{\"a\": }\n" +
                                        kChat + "\n{\"text\": 1}\n{\"text\": null}\n{\"a\": 1}\n");
  EXPECT_EQ(report.n_read, 7);
  EXPECT_EQ(report.n_written, 2);
  EXPECT_EQ(report.n_duplicates, 1);
  EXPECT_EQ(report.n_refused, 4);
  EXPECT_EQ(report.n_turns, 4);
  EXPECT_EQ(report.max_turns, 2);
  ASSERT_EQ(report.refusals.size(), 3U);
  EXPECT_EQ(report.refusals[0].reason, "text: expected text");
  EXPECT_EQ(report.refusals[0].count, 2);
  EXPECT_NE(report.refusals[0].places.at(1).find("in.jsonl:6: text: expected text, got null"),
            std::string::npos);
  EXPECT_EQ(report.refusals[2].reason, "not JSON");
}

TEST_F(Prepare, ReadsAtMostTheLimit) {
  const PrepareReport report =
      prepared("{}\n" + chat_line("Q", "A") + chat_line("R", "A"), {.limit = 2});
  EXPECT_EQ(report.n_read, 2);
  EXPECT_EQ(report.n_written, 1);
}

TEST_F(Prepare, SplitsOffRowsForValidation) {
  std::string lines;
  for (int i = 0; i < 40; ++i) lines += chat_line("Q" + std::to_string(i), "A");
  const PrepareReport report = prepared(lines, {.val_share = 0.1, .seed = 3});
  EXPECT_EQ(report.n_written, 36);
  EXPECT_EQ(report.n_validation, 4);
  const std::string first = text(validation());
  prepared(lines, {.val_share = 0.1, .seed = 3});
  EXPECT_EQ(text(validation()), first);
  prepared(lines, {.val_share = 0.1, .seed = 4});
  EXPECT_NE(text(validation()), first);
}

TEST_F(Prepare, WritesNothingIfNothingIsLeft) {
  expect_error([&] { prepared("{\"a\": 1}\n{\"b\": 1}\n"); }, ErrorKind::format,
               {"expected at least one row to write, got none of 2", "in.jsonl:1: example: "});
  expect_error([&] { prepared(kChat, {.val_share = 0.5}); }, ErrorKind::invalid_argument,
               {"val-split: expected a share that leaves rows in both parts of 1, got 0.5"});
  EXPECT_FALSE(std::filesystem::exists(output()));
}

TEST_F(Prepare, NeverOverwritesItsInput) {
  const std::filesystem::path inputs[] = {folder_.write("in.jsonl", kChat)};
  expect_error([&] { prepare(inputs, inputs[0], validation(), {}); }, ErrorKind::invalid_argument,
               {"expected another file than the input"});
  EXPECT_EQ(text(inputs[0]), kChat);
}

TEST_F(Prepare, LeavesNothingBehindIfItIsInterrupted) {
  const std::filesystem::path inputs[] = {
      folder_.write("in.jsonl", chat_line("Q", "A") + chat_line("R", "A"))};
  for (const double when : {0.0, 0.5}) {
    std::atomic<bool> interrupted = false;
    const auto at = [&](double share) { interrupted = share >= when; };
    EXPECT_FALSE(prepare(inputs, output(), validation(), {}, at, &interrupted).has_value());
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
  }
}

}  // namespace
}  // namespace bitaxon::test
