#include "chat_prompt.h"

#include <algorithm>

#include "bitaxon/error.h"
#include "bitaxon/session.h"
#include "console.h"
#include "formats/json.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

/// Lines of plain text: --chat-template none.
JinjaTemplate plain_lines() {
  return JinjaTemplate::parse(
      "{% for message in messages %}{{ message['content'] + '\\n' }}{% endfor %}");
}

std::optional<JinjaTemplate> own_template(const ModelOptions& options) {
  const std::optional<std::filesystem::path> folder = model_folder(options);
  return folder ? JinjaTemplate::find(*folder) : std::nullopt;
}

/// Whether the first of the messages, a JSON list, is a system message.
bool begins_with_system(const std::string& messages) {
  const Json list = parse_json(messages, "messages");
  return list.is_array() && !list.empty() && list[0].is_object() &&
         list[0].value("role", Json()) == "system";
}

JinjaTemplate with_tokens_of_model(const JinjaTemplate& chat_template,
                                   const ModelOptions& options) {
  const std::optional<std::filesystem::path> folder = model_folder(options);
  return folder ? chat_template.with_tokens_of(*folder) : chat_template;
}

}  // namespace

std::optional<std::filesystem::path> model_folder(const ModelOptions& options) {
  if (options.model.empty() && !named_preset(options).empty()) return std::nullopt;
  return find_model_files(options.model, options.flag, options.use).files.folder;
}

bool ChatPrompt::applies_to_prompts(const RunOptions& run) {
  if (!run.chat_template.empty()) return run.chat_template != "none";
  return own_template(run.model).has_value();
}

ChatPrompt ChatPrompt::wanted(const RunOptions& run) {
  const auto built_in = [&](const JinjaTemplate& chat_template, ChatTemplate name) {
    ChatPrompt prompt(with_tokens_of_model(chat_template, run.model));
    prompt.checked_tokens_ = name;
    prompt.may_rewrite_ = false;
    prompt.is_built_in_ = true;
    return prompt;
  };
  const auto other = [&]() -> std::optional<ChatPrompt> {
    if (run.chat_template == "chatml") return std::nullopt;
    if (!run.chat_template.empty())
      return ChatPrompt(with_tokens_of_model(JinjaTemplate::load(run.chat_template), run.model));
    if (std::optional<JinjaTemplate> own = own_template(run.model))
      return ChatPrompt(*std::move(own));
    return std::nullopt;
  };
  if (run.chat_template == "none") return built_in(plain_lines(), ChatTemplate::none);
  std::optional<ChatPrompt> found = other();
  ChatPrompt prompt =
      found ? *std::move(found) : built_in(JinjaTemplate::chatml(), ChatTemplate::chatml);
  if (!run.thinking.empty())
    prompt.variables_.emplace_back("enable_thinking", run.thinking == "on" ? "true" : "false");
  return prompt;
}

ChatText ChatPrompt::rendered(const std::string& messages, bool add_generation_prompt) const {
  ChatTemplateInput input;
  input.messages = messages;
  input.variables = variables_;
  input.add_generation_prompt = add_generation_prompt;
  return template_.render(input);
}

ChatText ChatPrompt::render(const std::string& messages, bool add_generation_prompt,
                            bool continues) const {
  ChatText text;
  // Many templates begin a conversation with a system message of their own.
  if (std::optional<ChatText> next; continues && !begins_with_system(messages) &&
                                    (next = after_answer(messages, add_generation_prompt))) {
    text = *std::move(next);
  } else {
    text = rendered(messages, add_generation_prompt);
    if (continues) text = follow_up(text);
  }
  if (add_generation_prompt && text.text.empty())
    throw Error(ErrorKind::format, fmt::format("{}: expected a text for the messages, got none",
                                               printable_path(origin())));
  return text;
}

/// The text of a new conversation behind an answer.
ChatText ChatPrompt::follow_up(const ChatText& text) const {
  const std::string bos = template_.bos_token().value_or("");
  ChatText rest = rest_of(text, text.text.starts_with(bos) ? bos.size() : 0);
  const std::optional<ChatText> end = after_answer("[]", false);
  if (!end) return rest;
  for (TextRange& range : rest.input) {
    range.begin += end->text.size();
    range.end += end->text.size();
  }
  rest.text.insert(0, end->text);
  return rest;
}

std::optional<ChatText> ChatPrompt::after_answer(const std::string& messages,
                                                 bool add_generation_prompt) const {
  constexpr std::string_view kAnswer = "bit-axon-answer";
  const std::size_t first = messages.find('[') + 1;
  const bool is_empty = messages.find_first_not_of(" \t\r\n", first) == messages.find(']', first);
  std::string all = messages;
  all.insert(first, fmt::format(R"({{"role": "user", "content": "a"}}, )"
                                R"({{"role": "assistant", "content": "{}"}}{})",
                                kAnswer, is_empty ? "" : ", "));
  try {
    const ChatText text = rendered(all, add_generation_prompt);
    const std::size_t place = text.text.find(kAnswer);
    if (place == text.text.npos) return std::nullopt;
    return rest_of(text, place + kAnswer.size());
  } catch (const Error&) {
    return std::nullopt;  // a template may refuse these messages
  }
}

ChatText rest_of(const ChatText& text, std::size_t begin) {
  ChatText rest{text.text.substr(begin), {}};
  for (const TextRange& range : text.input)
    if (range.end > begin)
      rest.input.push_back({std::max(range.begin, begin) - begin, range.end - begin});
  return rest;
}

std::vector<std::int32_t> chat_ids(const Vocabulary& vocabulary, const ChatText& text) {
  return vocabulary.encode(text.text, {.plain = text.input});
}

}  // namespace bitaxon::tool
