// Tests of random models as files.
#include "session/random_model.h"

#include <gtest/gtest.h>

#include "bitaxon/session.h"
#include "formats/safetensors.h"
#include "support/errors.h"
#include "support/qwen_model.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class RandomModelTest : public testing::Test {
 protected:
  bool write(const RandomModel& model, bool interrupted = false) {
    return write_random_model(
        model, output_,
        [this](std::uint64_t done, std::uint64_t total) {
          done_ = done;
          total_ = total;
        },
        interrupted);
  }

  TemporaryFolder folder_;
  const fs::path output_ = folder_ / "model";
  std::uint64_t done_ = 0, total_ = 0;
};

TEST_F(RandomModelTest, TheFilesHoldThePresetThatIsMadeInMemory) {
  ASSERT_TRUE(write({.preset = "small", .seed = 7}));
  EXPECT_GT(total_, 0U);
  EXPECT_EQ(done_, total_);
  const LoadOptions exact{.precision = Precision::exact};
  Session file = open_session({.model = output_.string()}, "reference", exact);
  Session memory = open_session({.preset = "small", .seed = 7}, "reference", exact);
  const std::vector<std::int32_t> ids = {1, 42, 100};
  State file_state = file.model.new_state(), memory_state = memory.model.new_state();
  EXPECT_TRUE(
      same_bits(feed_all(file.model, file_state, ids), feed_all(memory.model, memory_state, ids)));
}

TEST_F(RandomModelTest, WithoutATokenizerEveryByteAndTheTokensOfChatsHaveIds) {
  ASSERT_TRUE(write({}));
  const std::optional<Tokenizer> tokenizer = Tokenizer::find(output_);
  ASSERT_TRUE(tokenizer.has_value());
  EXPECT_EQ(tokenizer->encode("a\n"), (std::vector<std::int32_t>{'a', '\n'}));
  EXPECT_TRUE(missing_tokens(ChatTemplate::chatml, *tokenizer).empty());
}

TEST_F(RandomModelTest, TakesATokenizerAndGetsAsManyIds) {
  const fs::path file = folder_.write("other.json", qwen_tokenizer());
  ASSERT_TRUE(write({.tokenizer = file}));
  const FoundModel found = find_model({.model = output_.string()});
  std::vector<std::string> warnings;
  EXPECT_EQ(load_spec(found.source->files, warnings).vocab_size, kQwenTokens);
  EXPECT_EQ(Tokenizer::find(output_)->vocab_size(), kQwenTokens);
}

TEST_F(RandomModelTest, TakesATokenizersFolder) {
  write_qwen(folder_ / "qwen");
  ASSERT_TRUE(write({.tokenizer = folder_ / "qwen"}));
  EXPECT_TRUE(fs::exists(output_ / "tokenizer_config.json"));
  EXPECT_EQ(Tokenizer::find(output_)->vocab_size(), kQwenTokens);
}

TEST_F(RandomModelTest, LeavesNothingIfItCannotFinish) {
  EXPECT_FALSE(write({}, /*interrupted=*/true));
  expect_error([&] { write({.tokenizer = folder_ / "absent.json"}); }, ErrorKind::io, {"absent"});
  fs::create_directories(folder_ / "empty");
  expect_error([&] { write({.tokenizer = folder_ / "empty"}); }, ErrorKind::io,
               {"empty", "expected tokenizer.json or tokenizer.model"});
  EXPECT_FALSE(fs::exists(output_));
  folder_.write("model/file", "x");
  expect_error([&] { write({}); }, ErrorKind::io, {"model"});
}

}  // namespace
}  // namespace bitaxon::test
