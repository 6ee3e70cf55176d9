// Where the templates of a model come from.
#include <gtest/gtest.h>

#include <string>

#include "bitaxon/chat_template.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

std::string rendered(const JinjaTemplate& chat_template, const std::string& name = "",
                     const std::string& tools = "") {
  ChatTemplateInput input;
  input.messages = R"([{"role": "user", "content": "hi"}])";
  input.name = name;
  input.tools = tools;
  try {
    return chat_template.render(input).text;
  } catch (const Error& error) {
    return error.what();
  }
}

std::string message_of_load(const std::filesystem::path& file) {
  try {
    JinjaTemplate::load(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ChatTemplateFile, IsEmptyForAFolderWithoutTemplates) {
  const TemporaryFolder folder;
  EXPECT_FALSE(JinjaTemplate::find(folder.path()));
  folder.write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  EXPECT_FALSE(JinjaTemplate::find(folder.path()));
  folder.write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_FALSE(JinjaTemplate::find(folder.path()));
}

TEST(ChatTemplateFile, ReadsTemplateAndTokensOfATokenizerConfig) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json",
               R"({"chat_template": "{{ bos_token }}{{ eos_token }}!", "bos_token": "<s>",
                   "eos_token": {"content": "</s>", "lstrip": false}})");
  EXPECT_EQ(rendered(*JinjaTemplate::find(folder.path())), "<s></s>!");
  EXPECT_EQ(rendered(JinjaTemplate::load(folder / "tokenizer_config.json")), "<s></s>!");
}

TEST(ChatTemplateFile, ReadsMissingTokensFromTheSpecialTokensMap) {
  const TemporaryFolder folder;
  folder.write("chat_template.jinja", "{{ bos_token }}{{ eos_token is defined }}");
  folder.write("special_tokens_map.json",
               R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>"})");
  EXPECT_EQ(rendered(*JinjaTemplate::find(folder.path())), "<s>True");
  folder.write("tokenizer_config.json", R"({"bos_token": "<b>", "eos_token": null})");
  EXPECT_EQ(rendered(*JinjaTemplate::find(folder.path())), "<b>False");
  EXPECT_EQ(rendered(JinjaTemplate::parse("{{ bos_token }}").with_tokens_of(folder.path())), "<b>");
}

TEST(ChatTemplateFile, PrefersChatTemplateJinja) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"chat_template": "config", "bos_token": "<s>"})");
  folder.write("chat_template.jinja", "{{ bos_token }}file\n");
  const JinjaTemplate found = *JinjaTemplate::find(folder.path());
  EXPECT_EQ(rendered(found), "<s>file");
  EXPECT_EQ(found.origin(), (folder / "chat_template.jinja").string());
  EXPECT_EQ(rendered(JinjaTemplate::load(folder / "chat_template.jinja")), "file");
}

TEST(ChatTemplateFile, ChoosesAmongNamedTemplates) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"chat_template": [
      {"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"},
      {"name": "broken", "template": "{% if %}"}]})");
  const JinjaTemplate found = *JinjaTemplate::find(folder.path());
  EXPECT_EQ(rendered(found), "plain");
  EXPECT_EQ(rendered(found, "", "[]"), "tools");
  EXPECT_EQ(rendered(found, "default", "[]"), "plain");
  EXPECT_NE(rendered(found, "broken").find("line 1: Expected an expression"), std::string::npos);
  EXPECT_EQ(
      rendered(found, "rag"),
      (folder / "tokenizer_config.json").string() +
          ": expected a chat template named \"rag\", got \"default\", \"tool_use\", \"broken\"");
}

TEST(ChatTemplateFile, RefusesSeveralTemplatesWithoutADefault) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "a", "template": "a"}]})");
  EXPECT_EQ(rendered(*JinjaTemplate::find(folder.path())),
            (folder / "tokenizer_config.json").string() +
                ": expected a chat template named \"default\", got \"a\"");
}

TEST(ChatTemplateFile, RefusesBrokenFiles) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& content) {
    const std::string text = message_of_load(folder.write("file", content));
    return text.substr(std::min(text.size(), (folder / "file").string().size()));
  };
  EXPECT_EQ(message("{% if x %}"),
            ": line 1: unexpected end of template, expected the tag 'elif' or 'else' or 'endif'");
  EXPECT_EQ(message(R"({"chat_template": 5})"),
            ": chat_template: expected a text or a list of named templates");
  EXPECT_EQ(message(R"({"chat_template": ["x"]})"),
            ": chat_template: expected objects with a name and a template");
  EXPECT_EQ(message(R"({"chat_template": ""})"),
            ": chat_template: expected a template, got an empty text");
  EXPECT_EQ(message("{}"), ": expected a chat_template, got none");
  EXPECT_EQ(message(R"({"a": )").substr(0, 22), ": at byte 6: not JSON:");
}

}  // namespace
}  // namespace bitaxon::test
