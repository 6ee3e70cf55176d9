// Tests of vocabularies that are cut down for a smaller model.
#include "tokenizer/truncation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/errors.h"
#include "support/temporary_folder.h"
#include "tokenizer_json.h"

namespace bitaxon::test {
namespace {

/// The bytes, "ab" (256), "cd" (257), "abcd" (258), "xy" (259), and added tokens from 260 on.
TokenizerJson tokenizer() {
  TokenizerJson json({"a b", "c d", "ab cd", "x y"});
  for (const char* token : {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>"})
    json.add(token, {{"special", true}});
  return json;
}

VocabIds choose(std::int64_t size, const std::optional<std::string>& corpus = {}) {
  return choose_tokens(tokenizer().text(), "T", {.target_size = size, .corpus = corpus});
}

std::string truncated(const VocabIds& ids, TokenIds numbers = TokenIds::tokenizer) {
  return truncate_tokenizer(tokenizer().text(), "T", ids, numbers);
}

TEST(Truncation, FirstTokensKeepTheirIdsAndChatTokensGetTheLastOnes) {
  const VocabIds ids = choose(261);
  ASSERT_EQ(ids.size(), 261U);
  for (std::int32_t id = 0; id < 258; ++id) EXPECT_EQ(ids.at(id), id);
  EXPECT_EQ(ids.at(260), 258);
  EXPECT_EQ(ids.at(261), 259);
  EXPECT_EQ(ids.at(262), 260);
  EXPECT_FALSE(ids.contains(263));  // <tool_call>
}

TEST(Truncation, FrequentTokensComeFirstAndBringTheTokensThatTheyAreMadeOf) {
  const VocabIds ids = choose(262, "abcd abcd abcd\nabcd");
  ASSERT_EQ(ids.size(), 262U);
  EXPECT_EQ(ids.at(258), 0);
  for (const std::int32_t part : {256, 257}) EXPECT_TRUE(ids.contains(part));
  EXPECT_FALSE(ids.contains(259));
  // Without room for "ab" and "cd", "abcd" could never occur.
  EXPECT_FALSE(choose(261, "abcd").contains(258));
  EXPECT_TRUE(choose(260, "xy").contains(259));
}

TEST(Truncation, ModelIdsAreDense) {
  for (const std::optional<std::string>& corpus :
       {std::optional<std::string>(), std::optional<std::string>("xy abcd xy")}) {
    std::vector<std::int32_t> numbers;
    for (const auto& [from, to] : choose(262, corpus)) numbers.push_back(to);
    std::ranges::sort(numbers);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      EXPECT_EQ(numbers[i], static_cast<std::int32_t>(i));
  }
}

TEST(Truncation, ATruncatedTokenizerEncodesEveryTextWithItsOwnTokens) {
  const VocabIds ids = choose(260, "xy");
  const Bpe bpe = bpe_from_json(truncated(ids), "T");
  const std::string text = "abcdxy \xC3\xA9<|im_start|>\n<tool_call>";
  const std::vector<std::int32_t> encoded = bpe.encode(text);
  for (const std::int32_t id : encoded) EXPECT_TRUE(ids.contains(id)) << id;
  EXPECT_NE(std::ranges::find(encoded, 259), encoded.end());
  EXPECT_NE(std::ranges::find(encoded, 261), encoded.end());
}

TEST(Truncation, CanNumberTokensWithModelIds) {
  const VocabIds ids = choose(260, "xy");
  const Bpe whole = bpe_from_json(truncated(ids), "T");
  const Bpe own = bpe_from_json(truncated(ids, TokenIds::model), "T");
  const std::string text = "abxy<|im_end|>";
  std::vector<std::int32_t> expected;
  for (const std::int32_t id : whole.encode(text)) expected.push_back(ids.at(id));
  EXPECT_EQ(own.encode(text), expected);
  EXPECT_EQ(own.encode("<|im_end|>"), std::vector<std::int32_t>{259});
}

TEST(Truncation, KeepsATokenizerWithoutChatTokens) {
  const VocabIds ids = choose_tokens(TokenizerJson({"a b"}).text(), "T", {.target_size = 257});
  for (std::int32_t id = 0; id < 257; ++id) EXPECT_EQ(ids.at(id), id);
}

TEST(Truncation, RefusesSizesThatTheTokenizerDoesNotHave) {
  for (const std::int64_t size : {0, 258, 264})
    expect_invalid([&] { choose(size); }, "vocabulary of 259 to 263");
  expect_error([] { build_vocab_mapping("/nosuch/tokenizer.json"); }, ErrorKind::io, {"nosuch"});
  expect_error([] { choose_tokens("{", "T", {.target_size = 260}); }, ErrorKind::format, {"T"});
}

TEST(Truncation, TheFilesFunctionsReadAFile) {
  const TemporaryFolder folder;
  const auto file = folder.write("tokenizer.json", tokenizer().text());
  const VocabIds ids = build_vocab_mapping(file, {.target_size = 260});
  EXPECT_EQ(ids, choose(260));
  EXPECT_EQ(truncated_tokenizer(file, ids), truncated(ids));
  EXPECT_EQ(vocab_mapping_json({{3, 0}, {12, 1}}), R"({"3": 0, "12": 1})");
}

TEST(Truncation, TheTokenizerOfBytesHasChatTokensAtItsEnd) {
  const Bpe bpe = bpe_from_json(byte_tokenizer_json(300), "T");
  EXPECT_EQ(bpe.encode("a<|im_end|>"), (std::vector<std::int32_t>{'a', 299}));
}

}  // namespace
}  // namespace bitaxon::test
