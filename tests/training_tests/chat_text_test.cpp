// Where the contents of a conversation are in its text.
#include "training/data/chat_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "formats/json_file.h"
#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

const std::vector<ChatMessage> kMessages = {{"user", "Hi there"},
                                            {"assistant", " Ho.\n"},
                                            {"user", "And?"},
                                            {"assistant", "No, <b>sir</b>."}};

std::string content(const ConversationText& text, std::size_t index) {
  const TextRange range = text.contents.at(index);
  return text.chat.text.substr(range.begin, range.end - range.begin);
}

TEST(ChatText, FindsAnswersInTheTemplatesOfModels) {
  for (const char* name : {"chatml", "deepseek_turns", "falcon_instruct", "gemma_turns",
                           "jamba_bom", "llama2_inst", "llama3_tools", "mistral_tools",
                           "phi_sections", "qwen25_tools", "qwen3_published", "thinking_history"}) {
    SCOPED_TRACE(name);
    const Json recorded =
        read_json_file(golden_dir() / "templates" / (std::string(name) + ".json"));
    const JinjaTemplate chat_template =
        JinjaTemplate::parse(recorded.at("template").get<std::string>()).with_tokens("<s>", "</s>");
    const ConversationText text = conversation_text(chat_template, kMessages);
    const std::string first = content(text, 1);  // some templates remove the white space
    EXPECT_TRUE(first == " Ho.\n" || first == "Ho.") << first;
    EXPECT_EQ(content(text, 3), "No, <b>sir</b>.");
  }
}

TEST(ChatText, WritesChatMLAsTheTemplateDoes) {
  const ConversationText text = conversation_text(JinjaTemplate::chatml(), kMessages);
  ChatTemplateInput input;
  input.messages = R"([{"role": "user", "content": "Hi there"},
    {"role": "assistant", "content": " Ho.\n"}, {"role": "user", "content": "And?"},
    {"role": "assistant", "content": "No, <b>sir</b>."}])";
  input.add_generation_prompt = false;
  const ChatText rendered = JinjaTemplate::chatml().render(input);
  EXPECT_EQ(text.chat.text, rendered.text);
  EXPECT_EQ(text.chat.input, rendered.input);
  EXPECT_EQ(text.begins.size(), kMessages.size() + 1);
}

}  // namespace
}  // namespace bitaxon::test
