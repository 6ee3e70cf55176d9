// Tests of `template`, which prints what a chat template makes of a conversation.
#include <gtest/gtest.h>

#include <algorithm>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if tools %}{{ tools | length }} tools\n{% endif %}{{ mood | default('calm') }}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";
constexpr const char* kMessages = R"([{"role": "user", "content": "Who is there?"}])";

Json json_of(const Arguments& arguments) { return Json::parse(run_well(arguments).out); }

class TemplateCli : public testing::Test {
 protected:
  TemplateCli() {
    write_file(file("chat.jinja"), kTemplate);
    write_file(file("messages.json"), kMessages);
  }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  Arguments with(const Arguments& more) const {
    return Arguments{"template", "--messages", file("messages.json")} + more;
  }
  Arguments jinja(const Arguments& more = {}) const {
    return with(Arguments{"--chat-template", file("chat.jinja")} + more);
  }

  TemporaryFolder folder_;
};

TEST_F(TemplateCli, PrintsTheRendering) {
  EXPECT_EQ(run_well(jinja()).out, "<user>Who is there?\ncalm<assistant>");
  EXPECT_EQ(run_well(jinja({"--no-generation-prompt"})).out, "<user>Who is there?\ncalm");
  EXPECT_EQ(run_well(jinja({"--set", "mood=\"grim\"", "--set", "bos_token=\"<s>\""})).out,
            "<s><user>Who is there?\ngrim<assistant>");
  write_file(file("tools.json"), "[{}, {}]");
  EXPECT_EQ(run_well(jinja({"--tools", file("tools.json")})).out,
            "<user>Who is there?\n2 tools\ncalm<assistant>");
  EXPECT_EQ(run_well(jinja()).err, "");
}

TEST_F(TemplateCli, ReadsATokenizerConfig) {
  write_file(file("tokenizer_config.json"),
             R"({"bos_token": "<s>", "chat_template": [
                 {"name": "default", "template": "{{ bos_token }}plain"},
                 {"name": "rag", "template": "rag"}]})");
  const Arguments config = with({"--chat-template", file("tokenizer_config.json")});
  EXPECT_EQ(run_well(config).out, "<s>plain");
  EXPECT_EQ(run_well(config + Arguments{"--name", "rag"}).out, "rag");
}

TEST_F(TemplateCli, PrintsJson) {
  const Json without = json_of(jinja({"--json"}));
  EXPECT_EQ(without["text"], "<user>Who is there?\ncalm<assistant>");
  EXPECT_EQ(without["ids"], nullptr);
  const Json chatml = json_of(with({"-m", bundled_model_dir().string(), "--json"}));
  EXPECT_EQ(chatml["text"], "<|im_start|>user\nWho is there?<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(chatml["ids"], run_json({"tokenize", "--quiet"}, chatml["text"].get<std::string>()));
}

TEST_F(TemplateCli, KeepsSpecialTokensOfUsersAsText) {
  write_file(file("messages.json"), R"([{"role": "user", "content": "<|im_end|>"}])");
  const Json json = json_of(with({"-m", bundled_model_dir().string(), "--json"}));
  // The ids of <|im_start|> and <|im_end|>. Each of them stands where the template wrote it.
  EXPECT_EQ(std::ranges::count(json["ids"], Json(1022)), 2);
  EXPECT_EQ(std::ranges::count(json["ids"], Json(1023)), 1);
}

TEST_F(TemplateCli, UsesTheTemplateOfTheModel) {
  const std::string model = file("model");
  copy_model(bundled_model_dir(), model);
  write_file(file("model/tokenizer_config.json"),
             R"({"bos_token": "<s>", "chat_template": "config {{ bos_token }}"})");
  EXPECT_EQ(run_well(with({"-m", model})).out, "config <s>");
  write_file(file("model/chat_template.jinja"), "file {{ bos_token }}");
  EXPECT_EQ(run_well(with({"-m", model})).out, "file <s>");
  EXPECT_EQ(run_well(jinja({"-m", model})).out, "<s><user>Who is there?\ncalm<assistant>");
}

TEST_F(TemplateCli, RefusesInOneLine) {
  const auto expect = [](const Arguments& arguments, int status, const std::string& part) {
    const Finished finished = run(arguments);
    EXPECT_EQ(finished.status, status) << finished.describe();
    EXPECT_EQ(finished.out, "");
    ASSERT_EQ(finished.err_lines().size(), 1U) << finished.err;
    EXPECT_NE(finished.err.find(part), std::string::npos) << finished.err;
  };
  write_file(file("refuses.jinja"), "{{ raise_exception('no \\x1b ' ~ messages[0].role) }}");
  expect(with({"--chat-template", file("refuses.jinja")}), 1, "bit-axon: no \\u{1b} user\n");
  write_file(file("broken.jinja"), "\n{% if %}");
  expect(with({"--chat-template", file("broken.jinja")}), 1, "broken.jinja: line 2: ");
  write_file(file("fails.jinja"), "{{ messages.x.y }}");
  expect(with({"--chat-template", file("fails.jinja")}), 1, "fails.jinja: line 1: ");
  expect(with({}), 2, "expected --model or --chat-template");
  expect({"template", "--chat-template", file("chat.jinja")}, 2, "--messages");
  expect(jinja({"--set", "mood"}), 2, "--set: expected NAME=JSON");
  expect(jinja({"--set", "messages=[]"}), 2, "--set messages");
  expect(jinja({"--set", "1a=1"}), 2, "--set: expected NAME=JSON, got \"1a=1\"");
  expect(jinja({"--set", "mood=foo"}), 2, "bit-axon: --set mood: expected JSON, got \"foo\" ");
  expect(jinja({"--name", "rag"}), 1, "expected a chat template named \"rag\", got \"default\"");
  for (const char* flag : {"--tools", "--documents"}) {
    write_file(file("list.json"), "7");
    expect(jinja({flag, file("list.json")}), 1,
           "bit-axon: " + file("list.json") + ": expected a list, got 7\n");
  }
  for (const auto& [text, problem] : {std::pair{"", "expected JSON, got an empty text"},
                                      {"[]", "expected a list with at least one message, got []"},
                                      {"[1]", "message 0: expected an object, got 1"},
                                      {"[\"\\ud800\"]", "at byte 8: not JSON"}}) {
    write_file(file("messages.json"), text);
    expect(jinja(), 1, "bit-axon: " + file("messages.json") + ": " + problem + "\n");
  }
}

}  // namespace
}  // namespace bitaxon::test
