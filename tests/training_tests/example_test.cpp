// The forms of training data.
#include "training/data/example.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "formats/json.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

std::string text_of(const std::vector<ChatMessage>& messages) {
  std::string text;
  for (const ChatMessage& message : messages) text += message.role + "(" + message.content + ") ";
  return text;
}

Example read(std::string_view json, Objective wanted = Objective::sft) {
  const Json row = parse_json(json, "row");
  return read_example(row, detected_form(row, wanted));
}

std::string messages_in(std::string_view json) { return text_of(read(json).messages); }

std::string pair_in(std::string_view json) {
  const Example pair = read(json, Objective::orpo);
  return text_of(pair.messages) + "| " + text_of(pair.chosen) + "| " + text_of(pair.rejected);
}

TEST(Example, ReadsEveryFormOfAConversation) {
  EXPECT_EQ(messages_in(R"({"messages": [{"role": "system", "content": "S"},
                            {"role": "user", "content": "Q"},
                            {"role": "assistant", "content": "A"}]})"),
            "system(S) user(Q) assistant(A) ");
  EXPECT_EQ(messages_in(R"({"conversations": [{"from": "human", "value": "Q"},
                            {"from": "gpt", "value": "A"}], "system_prompt": "S"})"),
            "system(S) user(Q) assistant(A) ");
  EXPECT_EQ(messages_in(R"({"conversations": [{"role": "user", "content": "Q"},
                            {"role": "assistant", "content": "A"}], "system_prompt": ""})"),
            "user(Q) assistant(A) ");
  EXPECT_EQ(messages_in(R"({"instruction": "Add.", "input": "2, 3", "output": "5", "text": "x"})"),
            "user(Add.\n\n2, 3) assistant(5) ");
  EXPECT_EQ(messages_in(R"({"instruction": "Add.", "input": null, "output": ""})"),
            "user(Add.) assistant() ");
  EXPECT_EQ(messages_in(R"({"system_prompt": "", "question": "Q", "response": "A", "id": 7})"),
            "user(Q) assistant(A) ");
  EXPECT_EQ(messages_in(R"({"prompt": "Q", "completion": "A"})"), "user(Q) assistant(A) ");
  EXPECT_EQ(messages_in(R"({"prompt": [{"role": "system", "content": "S"}], "completion":
                            [{"role": "assistant", "content": "A"}]})"),
            "system(S) assistant(A) ");
  EXPECT_EQ(read(R"({"text": "T"})").text, "T");
}

TEST(Example, ReadsEveryFormOfAPair) {
  EXPECT_EQ(pair_in(R"({"prompt": "Q", "chosen": "A", "rejected": "B"})"),
            "user(Q) | assistant(A) | assistant(B) ");
  EXPECT_EQ(pair_in(R"({"prompt": [{"role": "user", "content": "Q"}],
                        "chosen": [{"role": "assistant", "content": "A"}], "rejected": "B"})"),
            "user(Q) | assistant(A) | assistant(B) ");
  EXPECT_EQ(pair_in(R"({"prompt": "Q", "messages": [], "chosen": [{"role": "user", "content": "Q"},
                        {"role": "assistant", "content": "A"}], "rejected":
                        [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "B"}]})"),
            "user(Q) | assistant(A) | assistant(B) ");
  EXPECT_EQ(pair_in(R"({"chosen": "\n\nHuman: Q\n\nAssistant: A\n\nHuman: R\n\nAssistant: C\n",
                        "rejected": "\n\nHuman: Q\n\nAssistant: A\n\nHuman: R\n\nAssistant:"})"),
            "user(Q) assistant(A) user(R) | assistant(C\n) | assistant() ");
}

TEST(Example, PrefersPairsOnlyIfTheyAreWanted) {
  constexpr std::string_view kBoth = R"({"prompt": "Q", "chosen": "A", "rejected": "B",
      "messages": [{"role": "assistant", "content": "M"}]})";
  EXPECT_EQ(read(kBoth).form, ExampleForm::messages);
  EXPECT_EQ(read(kBoth, Objective::orpo).form, ExampleForm::orpo);
}

void expect_refused(std::string_view json, std::string_view message,
                    Objective wanted = Objective::sft) {
  expect_error([&] { read(json, wanted); }, ErrorKind::format, message, "");
}

TEST(Example, NamesWhatIsWrong) {
  expect_refused("[]", "example: expected an object, got an empty list");
  expect_refused("{}", "example: expected messages, conversations, instruction and output");
  expect_refused(R"({"q": 1, "a": 2})", "example: expected messages, conversations");
  expect_refused(R"({"messages": []})", "messages: expected a list of messages, got an empty list");
  expect_refused(R"({"messages": "x"})", "messages: expected a list of messages, got \"x\"");
  expect_refused(R"({"messages": ["x"]})",
                 "messages[0]: expected an object with role and content, got \"x\"");
  expect_refused(R"({"messages": [{"role": "user"}]})",
                 "messages[0]: expected a key \"content\", got none");
  expect_refused(R"({"messages": [{"role": "user", "content": "Q"}]})",
                 "messages: expected a message of the assistant, got none");
  expect_refused(R"({"messages": [{"role": "wizard", "content": "Q"}]})",
                 "messages[0].role: expected system, user (human), assistant (gpt) or tool, got "
                 "\"wizard\"");
  for (const auto& [content, got] : std::vector<std::pair<std::string, std::string>>{
           {"null", "null"}, {"3", "3"}, {"[1]", "a list"}, {"{}", "an object"}})
    expect_refused(R"({"messages": [{"role": "user", "content": )" + content + "}]}",
                   "messages[0].content: expected text, got " + got);
  expect_refused(R"({"conversations": [{"from": "gpt"}]})",
                 "conversations[0]: expected a key \"value\", got none");
  expect_refused(R"({"instruction": 1, "output": ""})", "instruction: expected text, got 1");
  expect_refused(R"({"text": ""})", "text: expected text, got an empty text");
  expect_refused(R"({"prompt": 1, "completion": ""})",
                 "prompt: expected text or a list of messages, got 1");
}

TEST(Example, NamesWhatIsWrongInAPair) {
  expect_refused(R"({"prompt": "Q", "chosen": "A", "rejected": "B"})",
                 "example: expected one answer, got a pair of answers");
  expect_refused(
      R"({"prompt": "Q"})",
      "example: expected prompt, chosen and rejected, as ORPO needs, got the keys prompt",
      Objective::orpo);
  expect_refused(R"({"prompt": "Q", "chosen": "A", "rejected": null})",
                 "rejected: expected text or a list of messages, got null", Objective::orpo);
  expect_refused(R"({"chosen": [{"role": "user", "content": "Q"}],
                     "rejected": [{"role": "user", "content": "Q"}]})",
                 "chosen: expected a conversation that ends with the assistant's answer, got one "
                 "message",
                 Objective::orpo);
  expect_refused(R"({"chosen": "\n\nHuman: Q\n\nAssistant: A",
                     "rejected": "\n\nHuman: R\n\nAssistant: A"})",
                 "rejected: expected the prompt that chosen begins with, got another",
                 Objective::orpo);
  expect_refused(R"({"chosen": "Q", "rejected": "R"})",
                 "chosen: expected a text that begins with \"Human:\" or \"Assistant:\", got \"Q\"",
                 Objective::orpo);
}

TEST(Example, KnowsItsFormsByName) {
  for (int i = 0; i < kExampleForms; ++i) {
    const auto form = static_cast<ExampleForm>(i);
    EXPECT_EQ(form_named(name_of(form)), form);
  }
  EXPECT_EQ(form_named("auto"), std::nullopt);
}

}  // namespace
}  // namespace bitaxon::test
