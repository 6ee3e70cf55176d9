#include "training/data/example.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "platform/printable.h"
#include "training/data/human_assistant.h"

namespace bitaxon {
namespace {

constexpr std::array<std::string_view, kExampleForms> kNames = {
    "messages", "sharegpt", "alpaca",        "openorca", "completion",
    "text",     "orpo",     "ultrafeedback", "hh-rlhf"};

[[noreturn]] void fail(std::string_view what, std::string_view expected, std::string_view got) {
  throw Error(ErrorKind::format, fmt::format("{}: expected {}, got {}", what, expected, got));
}

/// What a value is, for a message.
std::string described(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return value.empty() ? "an empty list" : "a list";
    case Json::value_t::string:
      return fmt::format("\"{}\"", printable(value.get<std::string>(), 40));
    default:
      return printable_json(value, 40);
  }
}

/// The value of a key. Null if the key is absent.
const Json& at(const Json& object, std::string_view key) {
  static const Json absent;
  for (const auto& [name, value] : object.items())
    if (name == key) return value;
  return absent;
}

bool has(const Json& object, std::string_view key) {
  return std::ranges::any_of(object.items(), [&](const auto& item) { return item.key() == key; });
}

std::string text_of(const Json& value, std::string_view what) {
  if (!value.is_string()) fail(what, "text", described(value));
  return value.get<std::string>();
}

/// The text of a key that may be absent or null.
std::string optional_text(const Json& row, std::string_view key) {
  const Json& value = at(row, key);
  return value.is_null() ? std::string() : text_of(value, key);
}

/// The role that a name means. ShareGPT has names of its own.
std::string role_of(const Json& value, const std::string& what) {
  constexpr std::pair<std::string_view, std::string_view> kRoles[] = {
      {"system", "system"},       {"user", "user"},     {"human", "user"},
      {"assistant", "assistant"}, {"gpt", "assistant"}, {"tool", "tool"}};
  const std::string name = text_of(value, what);
  for (const auto& [known, role] : kRoles)
    if (name == known) return std::string(role);
  fail(what, "system, user (human), assistant (gpt) or tool", described(value));
}

/// A list of messages, each with a role and a content.
std::vector<ChatMessage> messages_of(const Json& list, const std::string& what) {
  if (!list.is_array() || list.empty()) fail(what, "a list of messages", described(list));
  std::vector<ChatMessage> messages;
  for (const Json& entry : list) {
    const std::string name = fmt::format("{}[{}]", what, messages.size());
    if (!entry.is_object()) fail(name, "an object with role and content", described(entry));
    const bool short_keys = has(entry, "from") && !has(entry, "role");
    const char* role = short_keys ? "from" : "role";
    const char* content = short_keys ? "value" : "content";
    for (const char* key : {role, content})
      if (!has(entry, key)) fail(name, fmt::format("a key \"{}\"", key), "none");
    messages.push_back({role_of(at(entry, role), fmt::format("{}.{}", name, role)),
                        text_of(at(entry, content), fmt::format("{}.{}", name, content))});
  }
  return messages;
}

bool is_of_assistant(const ChatMessage& message) { return message.role == "assistant"; }

void expect_assistant(const std::vector<ChatMessage>& messages, std::string_view what) {
  if (std::ranges::none_of(messages, is_of_assistant))
    fail(what, "a message of the assistant", "none");
}

/// A text, which is one message, or a list of messages.
std::vector<ChatMessage> messages_or_text(const Json& value, const std::string& what,
                                          const char* role) {
  if (value.is_string()) return {{role, value.get<std::string>()}};
  if (!value.is_array()) fail(what, "text or a list of messages", described(value));
  return messages_of(value, what);
}

Example read_sharegpt(const Json& row) {
  Example example;
  if (const Json& system = at(row, "system_prompt"); !system.is_null())
    if (std::string text = text_of(system, "system_prompt"); !text.empty())
      example.messages.push_back({"system", std::move(text)});
  for (ChatMessage& message : messages_of(at(row, "conversations"), "conversations"))
    example.messages.push_back(std::move(message));
  expect_assistant(example.messages, "conversations");
  return example;
}

Example question_and_answer(std::string system, std::string question, std::string answer) {
  Example example;
  if (!system.empty()) example.messages.push_back({"system", std::move(system)});
  example.messages.push_back({"user", std::move(question)});
  example.messages.push_back({"assistant", std::move(answer)});
  return example;
}

Example read_alpaca(const Json& row) {
  std::string question = text_of(at(row, "instruction"), "instruction");
  if (const std::string input = optional_text(row, "input"); !input.empty())
    question += "\n\n" + input;
  return question_and_answer("", std::move(question), text_of(at(row, "output"), "output"));
}

Example read_completion(const Json& row) {
  Example example;
  example.messages = messages_or_text(at(row, "prompt"), "prompt", "user");
  for (ChatMessage& message : messages_or_text(at(row, "completion"), "completion", "assistant"))
    example.messages.push_back(std::move(message));
  expect_assistant(example.messages, "completion");
  return example;
}

Example read_orpo(const Json& row) {
  Example pair;
  pair.messages = messages_or_text(at(row, "prompt"), "prompt", "user");
  pair.chosen = messages_or_text(at(row, "chosen"), "chosen", "assistant");
  pair.rejected = messages_or_text(at(row, "rejected"), "rejected", "assistant");
  return pair;
}

/// Moves the part of two conversations before their last message to the prompt.
Example split_pair(std::vector<ChatMessage> chosen, std::vector<ChatMessage> rejected) {
  const auto last_of = [](std::vector<ChatMessage>& messages, std::string_view what) {
    if (messages.size() < 2 || !is_of_assistant(messages.back()))
      fail(what, "a conversation that ends with the assistant's answer",
           messages.size() < 2 ? "one message" : "another end");
    std::vector<ChatMessage> answer = {std::move(messages.back())};
    messages.pop_back();
    return answer;
  };
  Example pair;
  pair.chosen = last_of(chosen, "chosen");
  pair.rejected = last_of(rejected, "rejected");
  const bool same = std::ranges::equal(chosen, rejected, [](const auto& a, const auto& b) {
    return a.role == b.role && a.content == b.content;
  });
  if (!same) fail("rejected", "the prompt that chosen begins with", "another");
  pair.messages = std::move(chosen);
  return pair;
}

std::vector<ChatMessage> turns_of(const Json& row, std::string_view key) {
  return human_assistant_turns(text_of(at(row, key), key), key);
}

Example read_form(const Json& row, ExampleForm form) {
  Example example;
  switch (form) {
    case ExampleForm::messages:
      example.messages = messages_of(at(row, "messages"), "messages");
      expect_assistant(example.messages, "messages");
      return example;
    case ExampleForm::sharegpt:
      return read_sharegpt(row);
    case ExampleForm::alpaca:
      return read_alpaca(row);
    case ExampleForm::openorca:
      return question_and_answer(optional_text(row, "system_prompt"),
                                 text_of(at(row, "question"), "question"),
                                 text_of(at(row, "response"), "response"));
    case ExampleForm::completion:
      return read_completion(row);
    case ExampleForm::text:
      example.text = text_of(at(row, "text"), "text");
      if (example.text.empty()) fail("text", "text", "an empty text");
      return example;
    case ExampleForm::orpo:
      example = read_orpo(row);
      break;
    case ExampleForm::ultrafeedback: {
      std::vector<ChatMessage> chosen = messages_of(at(row, "chosen"), "chosen");
      example = split_pair(std::move(chosen), messages_of(at(row, "rejected"), "rejected"));
      break;
    }
    case ExampleForm::hh_rlhf: {
      std::vector<ChatMessage> chosen = turns_of(row, "chosen");
      example = split_pair(std::move(chosen), turns_of(row, "rejected"));
      break;
    }
  }
  expect_assistant(example.chosen, "chosen");
  expect_assistant(example.rejected, "rejected");
  return example;
}

/// The form of a row with two answers. Whole conversations begin with another role than the
/// assistant's.
ExampleForm pair_form(const Json& row) {
  const Json& chosen = at(row, "chosen");
  if (chosen.is_array() && !chosen.empty() && chosen[0].is_object() &&
      at(chosen[0], "role") != "assistant")
    return ExampleForm::ultrafeedback;
  if (chosen.is_string() && !has(row, "prompt")) return ExampleForm::hh_rlhf;
  return ExampleForm::orpo;
}

std::string keys_of(const Json& row) {
  std::string keys;
  for (const auto& item : row.items())
    keys += (keys.empty() ? "" : ", ") + printable(item.key(), 40);
  return keys.empty() ? "an empty object" : "the keys " + printable(keys, 200);
}

}  // namespace

std::string_view name_of(ExampleForm form) { return kNames[static_cast<std::size_t>(form)]; }

std::optional<ExampleForm> form_named(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<ExampleForm>(found - kNames.begin());
}

bool is_pair(ExampleForm form) {
  return form == ExampleForm::orpo || form == ExampleForm::ultrafeedback ||
         form == ExampleForm::hh_rlhf;
}

ExampleForm detected_form(const Json& row, Objective wanted) {
  if (!row.is_object()) fail("example", "an object", described(row));
  const bool pair = has(row, "chosen") && has(row, "rejected");
  if (wanted == Objective::orpo) {
    if (!pair) fail("example", "prompt, chosen and rejected, as ORPO needs", keys_of(row));
    return pair_form(row);
  }
  if (has(row, "messages")) return ExampleForm::messages;
  if (has(row, "conversations")) return ExampleForm::sharegpt;
  if (pair) fail("example", "one answer", "a pair of answers, which needs --objective orpo");
  if (has(row, "instruction") && has(row, "output")) return ExampleForm::alpaca;
  if (has(row, "question") && has(row, "response")) return ExampleForm::openorca;
  if (has(row, "prompt") && has(row, "completion")) return ExampleForm::completion;
  if (has(row, "text")) return ExampleForm::text;
  fail("example",
       "messages, conversations, instruction and output, question and response, prompt and "
       "completion, or text",
       keys_of(row));
}

Example read_example(const Json& row, ExampleForm form) {
  if (!row.is_object()) fail("example", "an object", described(row));
  Example example = read_form(row, form);
  example.form = form;
  return example;
}

}  // namespace bitaxon
