#include "chat_prompt.h"

#include <algorithm>

#include "bitaxon/error.h"
#include "bitaxon/session.h"
#include "console.h"
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

JinjaTemplate with_tokens_of_model(const JinjaTemplate& chat_template,
                                   const ModelOptions& options) {
  const std::optional<std::filesystem::path> folder = model_folder(options);
  return folder ? chat_template.with_tokens_of(*folder) : chat_template;
}

}  // namespace

std::optional<std::filesystem::path> model_folder(const ModelOptions& options) {
  if (options.model.empty() && !named_preset(options).empty()) return std::nullopt;
  return find_model_files(options.model, options.flag).files.folder;
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

ChatText ChatPrompt::render(const std::string& messages, bool add_generation_prompt,
                            bool continues) const {
  ChatTemplateInput input;
  input.messages = messages;
  input.variables = variables_;
  input.add_generation_prompt = add_generation_prompt;
  ChatText text = template_.render(input);
  if (!continues) return text;
  const std::string bos = template_.bos_token().value_or("");
  ChatText rest = rest_of(text, text.text.starts_with(bos) ? bos.size() : 0);
  const std::string end = turn_end();
  for (TextRange& range : rest.input) {
    range.begin += end.size();
    range.end += end.size();
  }
  rest.text.insert(0, end);
  return rest;
}

/// What the template writes between an answer and the next message. Empty if it cannot be seen.
std::string ChatPrompt::turn_end() const {
  constexpr std::string_view kAnswer = "bit-axon-answer";
  ChatTemplateInput input;
  input.messages =
      R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "bit-axon-answer"}])";
  input.variables = variables_;
  input.add_generation_prompt = false;
  try {
    const std::string text = template_.render(input).text;
    const std::size_t place = text.rfind(kAnswer);
    return place == text.npos ? "" : text.substr(place + kAnswer.size());
  } catch (const Error&) {
    return "";  // a template may refuse these messages
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
