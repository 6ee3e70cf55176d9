#include <gtest/gtest.h>

#include <vector>

#include "bitaxon/tokenizer.h"

namespace bitaxon {
namespace {

TEST(ChatTemplate, WrapsEachMessageAndOpensTheAnswer) {
  EXPECT_EQ(chat_prompt({}), "<|im_start|>assistant\n");
  const std::vector<ChatMessage> messages = {{"system", "Be brief."}, {"user", "Hi!\n"}};
  EXPECT_EQ(chat_prompt(messages),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!\n<|im_end|>\n"
            "<|im_start|>assistant\n");
}

}  // namespace
}  // namespace bitaxon
