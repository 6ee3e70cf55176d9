#include "training/data/chat_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "platform/printable.h"
#include "platform/utf8.h"

namespace bitaxon {
namespace {

/// ChatML without the template language, which takes ten times as long.
ConversationText chatml_text(std::span<const ChatMessage> messages) {
  ConversationText out;
  std::string& text = out.chat.text;
  const auto add_input = [&](const std::string& input) {
    const TextRange range{text.size(), text.size() + input.size()};
    text += input;
    if (!input.empty()) out.chat.input.push_back(range);
    return range;
  };
  for (const ChatMessage& message : messages) {
    out.begins.push_back(text.size());
    text += "<|im_start|>";
    add_input(message.role);
    text += '\n';
    out.contents.push_back(add_input(message.content));
    text += "<|im_end|>\n";
  }
  out.begins.push_back(text.size());
  return out;
}

ChatText rendered(const JinjaTemplate& chat_template, std::span<const ChatMessage> messages,
                  bool add_generation_prompt = false) {
  Json list = Json::array();
  for (const ChatMessage& message : messages)
    list.push_back({{"role", message.role}, {"content", message.content}});
  const std::string json = list.dump();
  ChatTemplateInput input;
  input.messages = json;
  input.add_generation_prompt = add_generation_prompt;
  return chat_template.render(input);
}

/// Two characters without a meaning that no message contains.
struct Marks {
  std::string begin, end;
};

Marks unused_marks(std::span<const ChatMessage> messages) {
  constexpr char32_t kFirstPrivate = 0xE000, kLastPrivate = 0xF8FF;
  std::vector<std::string> unused;
  for (char32_t code = kFirstPrivate; code <= kLastPrivate && unused.size() < 2; ++code) {
    std::string mark;
    append_character(mark, code);
    const bool is_used = std::ranges::any_of(messages, [&](const ChatMessage& message) {
      return message.content.find(mark) != std::string::npos;
    });
    if (!is_used) unused.push_back(std::move(mark));
  }
  if (unused.size() < 2)
    throw Error(ErrorKind::format, "expected a character of private use that no message contains");
  return {unused[0], unused[1]};
}

constexpr std::string_view kBlanks = " \t\r\n";

/// The messages, with marks around what the assistant says. The marks are inside of white space
/// around the content, because many templates remove it.
std::vector<ChatMessage> with_marks(std::span<const ChatMessage> messages, const Marks& marks) {
  std::vector<ChatMessage> marked(messages.begin(), messages.end());
  for (ChatMessage& message : marked) {
    if (message.role != "assistant") continue;
    std::string& content = message.content;
    const std::size_t last = content.find_last_not_of(kBlanks);
    content.insert(last == std::string::npos ? content.size() : last + 1, marks.end);
    const std::size_t first = std::min(content.find_first_not_of(kBlanks), content.find(marks.end));
    content.insert(first, marks.begin);
  }
  return marked;
}

/// Removes the marks from a text. Returns the ranges between them, empty if the marks are not in
/// pairs.
std::vector<TextRange> take_marks(std::string& text, const Marks& marks) {
  std::vector<TextRange> ranges;
  std::size_t at = 0;
  while ((at = text.find(marks.begin, at)) != text.npos) {
    text.erase(at, marks.begin.size());
    const std::size_t end = text.find(marks.end, at);
    if (end == text.npos) return {};
    text.erase(end, marks.end.size());
    ranges.push_back({at, end});
    at = end;
  }
  return ranges;
}

/// Adds the white space around the content, as far as the template has kept it.
TextRange with_blanks(TextRange range, const std::string& content, const ChatText& chat) {
  const std::string_view text = chat.text;
  const std::size_t n_before = std::min(content.find_first_not_of(kBlanks), content.size());
  const std::string_view before = std::string_view(content).substr(0, n_before);
  const std::string_view after = std::string_view(content).substr(
      std::min(content.size(), n_before + range.end - range.begin));
  const auto is_input = [&](std::size_t begin, std::size_t end) {
    return std::ranges::any_of(chat.input, [&](const TextRange& input) {
      return input.begin <= begin && end <= input.end;
    });
  };
  if (before.size() <= range.begin &&
      text.substr(range.begin - before.size()).starts_with(before) &&
      is_input(range.begin - before.size(), range.begin))
    range.begin -= before.size();
  if (text.substr(range.end).starts_with(after) && is_input(range.end, range.end + after.size()))
    range.end += after.size();
  return range;
}

ConversationText template_text(const JinjaTemplate& chat_template,
                               std::span<const ChatMessage> messages) {
  ConversationText out;
  out.chat = rendered(chat_template, messages);
  const Marks marks = unused_marks(messages);
  std::string marked = rendered(chat_template, with_marks(messages, marks)).text;
  const std::vector<TextRange> ranges = take_marks(marked, marks);
  const auto n_answers = static_cast<std::size_t>(std::ranges::count_if(
      messages, [](const ChatMessage& message) { return message.role == "assistant"; }));
  if (marked != out.chat.text || ranges.size() != n_answers)
    throw Error(ErrorKind::format,
                fmt::format("{}: expected a chat template that writes each answer as it is, got "
                            "one that changes answers",
                            printable_path(chat_template.origin())));
  std::size_t next = 0;
  for (const ChatMessage& message : messages) {
    const bool is_answer = message.role == "assistant";
    out.contents.push_back(is_answer ? with_blanks(ranges[next++], message.content, out.chat)
                                     : TextRange{});
  }
  return out;
}

}  // namespace

bool is_chatml(const JinjaTemplate& chat_template) { return chat_template.origin() == "ChatML"; }

std::optional<std::size_t> answer_begin(const JinjaTemplate& chat_template,
                                        std::span<const ChatMessage> messages, std::size_t index,
                                        std::string_view text) {
  if (index == 0) return std::nullopt;  // templates refuse a conversation without messages
  const ChatText prompt = rendered(chat_template, messages.first(index), true);
  if (!text.starts_with(prompt.text)) return std::nullopt;
  return prompt.text.size();
}

ConversationText conversation_text(const JinjaTemplate& chat_template,
                                   std::span<const ChatMessage> messages) {
  return is_chatml(chat_template) ? chatml_text(messages) : template_text(chat_template, messages);
}

}  // namespace bitaxon
