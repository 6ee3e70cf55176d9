// Renders conversations with the chat templates that models are published with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/export.h"
#include "bitaxon/tokenizer.h"

namespace bitaxon {

/// Limits of one rendering. A template that exceeds one of them fails with one line.
struct ChatTemplateLimits {
  std::uint64_t max_steps = 20'000'000;                   ///< a few seconds of work
  int max_depth = 2000;                                   ///< nested expressions and calls
  std::size_t max_memory_bytes = std::size_t{256} << 20;  ///< of all values together
  std::size_t max_output_bytes = std::size_t{64} << 20;   ///< of the text
};

/// The template refuses the conversation: it called raise_exception(). what() is the template's own
/// text for the user.
class BX_API ChatTemplateRefusal : public Error {
 public:
  explicit ChatTemplateRefusal(const std::string& message)
      : Error(ErrorKind::invalid_argument, message) {}
};

/// What a template is rendered with. All texts are JSON.
struct ChatTemplateInput {
  /// A list of objects, usually {"role": ..., "content": ...}. Must not be empty.
  std::string_view messages;
  /// A list of tools. Empty text: no tools are given. The list itself may be empty: "[]".
  std::string_view tools;
  /// A list of documents. Empty text: none.
  std::string_view documents;
  /// Further names that the template sees, each with a JSON value, for example enable_thinking.
  std::vector<std::pair<std::string, std::string>> variables;
  /// Whether the text ends with the beginning of an answer.
  bool add_generation_prompt = true;
  /// The template that is wanted if the model has several. Empty: "tool_use" if tools are given and
  /// the model has it, else "default".
  std::string name;
  /// The local time for strftime_now(). Empty: the clock of this machine.
  std::optional<std::tm> now;
  ChatTemplateLimits limits;
  /// What messages of errors call the three texts, for example the files that they come from.
  struct Names {
    std::string messages = "messages", tools = "tools", documents = "documents";
  };
  Names names;
};

/// A rendered conversation.
struct ChatText {
  std::string text;
  /// The bytes that come from messages, tools, documents and variables, in ascending order. All
  /// other bytes were written by the template. A special token that lies wholly in one range was
  /// typed by a user and must not become a special token.
  std::vector<TextRange> input;
};

/// The chat templates of a model: one, or several with names. Cheap to copy; safe to use from several
/// threads.
///
/// The language is that of Jinja 3.1 as transformers sets it up: sandboxed, with trim_blocks,
/// lstrip_blocks, break, continue and generation blocks, and without include, import and extends.
class BX_API JinjaTemplate {
 public:
  /// Parses one template. Throws Error(format) with the line of the fault.
  static JinjaTemplate parse(std::string_view source);
  /// The template of a file: a Jinja template, or a tokenizer_config.json that has one or several.
  /// Throws Error(io, format). The message begins with the name of the file.
  static JinjaTemplate load(const std::filesystem::path& file);
  /// The template of a model folder: chat_template.jinja, else the chat_template of
  /// tokenizer_config.json. Empty if the folder has neither. Throws as load() does.
  static std::optional<JinjaTemplate> find(const std::filesystem::path& model_directory);
  /// ChatML: `<|im_start|>ROLE\nCONTENT<|im_end|>\n` for each message.
  static JinjaTemplate chatml();

  /// The conversation as text, by the rules of transformers' apply_chat_template: keys of a message
  /// whose value is null are removed, reasoning_content, thinking and reasoning are other names of
  /// each other, and messages must not be empty. Throws ChatTemplateRefusal if the template calls
  /// raise_exception(), and Error(format) for every other fault. The message then begins with origin(),
  /// or with the name of the text or of the variable if that is no JSON, or not what is expected.
  ChatText render(const ChatTemplateInput& input) const;

  /// The text of the beginning-of-sequence token, as tokenizer_config.json names it, or else
  /// special_tokens_map.json. Templates see it as bos_token. Empty: the name is not defined in the
  /// template.
  const std::optional<std::string>& bos_token() const;
  const std::optional<std::string>& eos_token() const;
  JinjaTemplate with_tokens(std::optional<std::string> bos, std::optional<std::string> eos) const;
  /// The same template with the tokens that the tokenizer_config.json of a model folder names, or else
  /// its special_tokens_map.json. Throws as load() does.
  JinjaTemplate with_tokens_of(const std::filesystem::path& model_directory) const;
  /// Whether one of the templates mentions a variable, for example enable_thinking.
  bool uses(std::string_view name) const;
  /// Where the template comes from, for messages: a path, or "ChatML".
  const std::string& origin() const;

  struct Impl;

 private:
  explicit JinjaTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace bitaxon
