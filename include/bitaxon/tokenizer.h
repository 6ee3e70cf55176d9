// Text to token ids and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bitaxon/export.h"

namespace bitaxon {

/// An immutable tokenizer; a cheap handle, safe to use from several threads.
class BX_API Tokenizer {
 public:
  /// Reads a tokenizer.json (byte-level BPE of the Qwen2.5 kind) or a tokenizer.model
  /// (SentencePiece); what the file is decides, not its name. tokenizer_config.json,
  /// special_tokens_map.json, generation_config.json and config.json beside the file say which
  /// tokens end a text.
  /// Throws Error(io, format, unsupported).
  static Tokenizer load(const std::filesystem::path& file);
  /// tokenizer.json, tokenizer/tokenizer.json or tokenizer.model of a model directory, in this
  /// order; empty when there is none. Throws as load does.
  static std::optional<Tokenizer> find(const std::filesystem::path& model_directory);
  /// One token per byte: ids 0 to 255, no end of sequence.
  static Tokenizer bytes();

  /// Ids of `text`, special tokens in it recognised, nothing added around it. Invalid UTF-8 is
  /// read as U+FFFD, except by the byte tokenizer, which takes bytes as they are.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// Text of `ids`, special tokens included unless asked otherwise; always valid UTF-8 (bytes that
  /// are not become U+FFFD). An id the tokenizer does not have decodes to nothing.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

  /// One more than the largest id.
  std::int32_t vocab_size() const;
  /// All tokens that end a text, each once: `<|im_end|>`, else `<|endoftext|>`, else `</s>`; those
  /// named by the files beside the tokenizer's; the one that a tokenizer.model names itself.
  const std::vector<std::int32_t>& ends_of_sequence() const;
  /// The id of a token given by its exact text as it stands in the vocabulary.
  std::optional<std::int32_t> token_id(std::string_view token) const;
  bool is_special(std::int32_t id) const;
  /// "bpe", "sentencepiece" or "bytes".
  std::string_view kind() const;

  struct Impl;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// Decodes ids one at a time. The pieces put together equal Tokenizer::decode of all ids. A piece
/// never ends inside a UTF-8 character: bytes are held until the character is whole or can no
/// longer become one (then U+FFFD comes out).
class BX_API StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = false);
  /// Text that became certain with this id; may be empty.
  std::string push(std::int32_t id);
  /// What is still held, as U+FFFD; the decoder is then as new.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  bool at_start_ = true;
  std::string held_;
};

struct ChatMessage {
  std::string role;
  std::string content;
};

/// How messages become one text.
enum class ChatTemplate : std::uint8_t {
  /// `<|im_start|>{role}\n{content}<|im_end|>\n` for each message, then `<|im_start|>assistant\n`.
  chatml,
  /// `{content}\n` for each message: plain text without roles.
  none,
};

/// The messages as one text, followed by the beginning of the answer.
BX_API std::string chat_prompt(std::span<const ChatMessage> messages,
                               ChatTemplate how = ChatTemplate::chatml);
/// The text between an answer and the next message: `<|im_end|>\n` or `\n`.
BX_API std::string_view turn_end(ChatTemplate how);
/// The template's special tokens.
BX_API std::span<const std::string_view> special_tokens(ChatTemplate how);
/// The template's special tokens that `tokenizer` does not find in a text. To the model they would
/// be plain text.
BX_API std::vector<std::string> missing_tokens(ChatTemplate how, const Tokenizer& tokenizer);

}  // namespace bitaxon
