// The chat template that a command uses, and the texts that it makes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bitaxon/chat_template.h"
#include "cmd_run.h"
#include "formats/json_fwd.h"

namespace bitaxon::tool {

class ChatPrompt {
 public:
  /// The template that --chat-template names, else the model's own, else ChatML.
  static ChatPrompt wanted(const RunOptions& run);
  /// Whether a prompt that is no message becomes one: if the model or a flag names a template.
  static bool applies_to_prompts(const RunOptions& run);

  /// The template whose special tokens the tokenizer must have. Empty if that is not known.
  std::optional<ChatTemplate> checked_tokens() const { return checked_tokens_; }
  /// Whether the text of earlier messages may change when messages are added.
  bool may_rewrite() const { return may_rewrite_; }
  /// Whether messages must be pairs of role and content.
  bool is_built_in() const { return is_built_in_; }
  /// Whether --thinking changes anything.
  bool uses_thinking() const { return template_.uses("enable_thinking"); }
  /// The template in messages.
  std::string origin() const {
    return checked_tokens_ == ChatTemplate::none ? "plain text" : template_.origin();
  }
  /// The messages, a JSON list, as text. If `continues`, they follow a conversation that the state
  /// already holds: the text first ends its last answer, and begins neither a sequence nor a
  /// conversation.
  ChatText render(const std::string& messages, bool add_generation_prompt, bool continues) const;

 private:
  explicit ChatPrompt(JinjaTemplate chat_template) : template_(std::move(chat_template)) {}
  ChatText follow_up(const ChatText& text) const;
  ChatText rendered(const std::string& messages, bool add_generation_prompt) const;
  /// What follows an answer if `messages` come next. Empty if it cannot be seen.
  std::optional<ChatText> after_answer(const std::string& messages,
                                       bool add_generation_prompt) const;

  JinjaTemplate template_;
  std::optional<ChatTemplate> checked_tokens_;
  bool may_rewrite_ = true, is_built_in_ = false;
  std::vector<std::pair<std::string, std::string>> variables_;
};

/// The text from byte `begin` on, with its ranges of input.
ChatText rest_of(const ChatText& text, std::size_t begin);
/// The ids of a rendered text. Special tokens that users typed are text.
std::vector<std::int32_t> chat_ids(const Vocabulary& vocabulary, const ChatText& text);
/// The folder of the named model. Empty for random weights.
std::optional<std::filesystem::path> model_folder(const ModelOptions& options);

}  // namespace bitaxon::tool
