#include "training/data/canonical_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "training/data/chat_text.h"

namespace bitaxon {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"messages", "alpaca", "orpo", "text"};

[[noreturn]] void fail(std::string_view expected, std::string_view got) {
  throw Error(ErrorKind::format, fmt::format("example: expected {}, got {}", expected, got));
}

Json messages_json(std::span<const ChatMessage> messages) {
  Json list = Json::array();
  for (const ChatMessage& message : messages)
    list.push_back({{"role", message.role}, {"content", message.content}});
  return list;
}

/// The messages of a conversation, or of a pair's prompt and chosen answer.
std::vector<ChatMessage> conversation_of(const Example& example) {
  if (example.form == ExampleForm::text) fail("a conversation", "a text");
  std::vector<ChatMessage> messages = example.messages;
  messages.insert(messages.end(), example.chosen.begin(), example.chosen.end());
  return messages;
}

Json alpaca_row(const Example& example) {
  const std::vector<ChatMessage> messages = conversation_of(example);
  if (messages.size() != 2 || messages[0].role != "user" || messages[1].role != "assistant")
    fail("one question and one answer", fmt::format("{} messages", messages.size()));
  return {{"instruction", messages[0].content}, {"input", ""}, {"output", messages[1].content}};
}

std::string text_of(const Example& example) {
  if (example.form == ExampleForm::text) return example.text;
  std::string text = conversation_text(JinjaTemplate::chatml(), conversation_of(example)).chat.text;
  // A text ends with its end of sequence.
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace

std::string_view name_of(CanonicalForm form) { return kNames[static_cast<std::size_t>(form)]; }

std::optional<CanonicalForm> canonical_form_named(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<CanonicalForm>(found - kNames.begin());
}

Json canonical_row(const Example& example, CanonicalForm form) {
  switch (form) {
    case CanonicalForm::messages:
      return {{"messages", messages_json(conversation_of(example))}};
    case CanonicalForm::alpaca:
      return alpaca_row(example);
    case CanonicalForm::text:
      return {{"text", text_of(example)}};
    case CanonicalForm::orpo:
      break;
  }
  if (!is_pair(example.form)) fail("a pair of answers", "one answer");
  return {{"prompt", messages_json(example.messages)},
          {"chosen", messages_json(example.chosen)},
          {"rejected", messages_json(example.rejected)}};
}

}  // namespace bitaxon
