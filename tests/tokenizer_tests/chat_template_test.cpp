#include <gtest/gtest.h>

#include <vector>

#include "bitaxon/tokenizer.h"
#include "support/temporary_folder.h"
#include "tokenizer_json.h"

namespace bitaxon {
namespace {

using test::TemporaryFolder;

TEST(ChatTemplate, WrapsEachMessageAndOpensTheAnswer) {
  EXPECT_EQ(chat_prompt({}), "<|im_start|>assistant\n");
  const std::vector<ChatMessage> messages = {{"system", "Be brief."}, {"user", "Hi!\n"}};
  EXPECT_EQ(chat_prompt(messages),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!\n<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(turn_end(ChatTemplate::chatml), "<|im_end|>\n");
}

TEST(ChatTemplate, WithoutATemplateThePromptIsPlainText) {
  const std::vector<ChatMessage> messages = {{"system", "Be brief."}, {"user", "Hi!"}};
  EXPECT_EQ(chat_prompt({}, ChatTemplate::none), "");
  EXPECT_EQ(chat_prompt(messages, ChatTemplate::none), "Be brief.\nHi!\n");
  EXPECT_EQ(turn_end(ChatTemplate::none), "\n");
}

TEST(ChatTemplate, NamesTokensThatTheTokenizerLacks) {
  using Names = std::vector<std::string>;
  const TemporaryFolder folder;
  TokenizerJson json;
  const auto missing = [&](ChatTemplate how) {
    return missing_tokens(how, Tokenizer::load(folder.write("tokenizer.json", json.text())));
  };
  EXPECT_EQ(missing(ChatTemplate::chatml), (Names{"<|im_start|>", "<|im_end|>"}));
  EXPECT_EQ(missing(ChatTemplate::none), Names());
  // A chat token must be among the added tokens. A token that is only in the vocabulary counts as
  // missing, because encoding a text never produces it.
  json.vocab()["<|im_end|>"] = json.vocab().size();
  json.add("<|im_start|>");
  EXPECT_EQ(missing(ChatTemplate::chatml), Names{"<|im_end|>"});
  json.document["added_tokens"].push_back({{"id", 256}, {"content", "<|im_end|>"}});
  EXPECT_EQ(missing(ChatTemplate::chatml), Names());
  EXPECT_EQ(missing_tokens(ChatTemplate::chatml, Tokenizer::bytes()),
            (Names{"<|im_start|>", "<|im_end|>"}));
}

}  // namespace
}  // namespace bitaxon
