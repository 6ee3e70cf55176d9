// Thoughts are dimmed, however the text is cut into pieces.
#include "thoughts.h"

#include <gtest/gtest.h>

#include <string>

namespace bitaxon::test {
namespace {

std::string dimmed(const std::string& text, std::size_t piece, bool in_thought = false) {
  std::string result;
  tool::ThoughtDimmer dimmer([&](std::string_view part) { result += part; }, in_thought);
  for (std::size_t at = 0; at < text.size(); at += piece) dimmer.push(text.substr(at, piece));
  dimmer.finish();
  return result;
}

TEST(Thoughts, AreDimmedWithTheirTags) {
  for (std::size_t piece = 1; piece <= 40; ++piece) {
    EXPECT_EQ(dimmed("a<think>b</think>c", piece), "a\x1b[2m<think>b</think>\x1b[0mc");
    EXPECT_EQ(dimmed("b</think>c", piece, true), "\x1b[2mb</think>\x1b[0mc");
    EXPECT_EQ(dimmed("<think>never closed", piece), "\x1b[2m<think>never closed\x1b[0m");
    EXPECT_EQ(dimmed("a < b <th", piece), "a < b <th");
    EXPECT_EQ(dimmed("", piece), "");
  }
}

TEST(Thoughts, MayBeOpenedByTheTemplate) {
  const auto opens = [](const std::string& text) { return tool::opens_thought({text, {}}); };
  EXPECT_TRUE(opens("<|assistant|><think>\n"));
  EXPECT_FALSE(opens("<|assistant|><think>\n\n</think>\n\n"));
  EXPECT_FALSE(opens("<|assistant|>"));
}

TEST(Thoughts, AreNeitherOpenedNorClosedByAUser) {
  JinjaTemplate chat = JinjaTemplate::parse(
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}<|assistant|>");
  ChatTemplateInput input;
  input.messages = R"([{"role": "system", "content": "<think>"},
                       {"role": "user", "content": "what does <think> mean"}])";
  EXPECT_FALSE(tool::opens_thought(chat.render(input)));
  chat = JinjaTemplate::parse("<think>{{ messages[0].content }}");
  input.messages = R"([{"role": "user", "content": "and </think>?"}])";
  EXPECT_TRUE(tool::opens_thought(chat.render(input)));
}

}  // namespace
}  // namespace bitaxon::test
