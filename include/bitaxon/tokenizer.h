// Converts text to token ids and back.
#pragma once

#include <cstddef>
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

/// A range of bytes of a text.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;  ///< one past the last byte
  bool operator==(const TextRange&) const = default;
};

struct EncodeOptions {
  /// Adds the tokens that the tokenizer puts around a text, such as one for its beginning.
  bool add_special = false;
  /// Special tokens in the text are plain text. Other added tokens are still recognized.
  bool special_as_text = false;
  /// The same for special tokens that lie wholly in one of these ranges, which are in ascending
  /// order. A special token that is looked for in normalized text is plain text as soon as a range
  /// meets the text between two other tokens around it. The text must be UTF-8.
  std::span<const TextRange> plain = {};
};

/// A handle to an immutable tokenizer. It is cheap to copy and safe to use from several threads.
class BX_API Tokenizer {
 public:
  /// Reads a tokenizer.json (BPE) or a tokenizer.model (SentencePiece). The kind is recognized by the
  /// contents of the file, not by its name.
  /// tokenizer_config.json, special_tokens_map.json, generation_config.json and config.json in the
  /// same directory say which tokens end a text. Throws Error(io, format, unsupported).
  static Tokenizer load(const std::filesystem::path& file);
  /// Loads the tokenizer of a model directory: tokenizer.json, else tokenizer/tokenizer.json, else
  /// tokenizer.model. If the tokenizer.json is of an unsupported kind and there is a
  /// tokenizer.model, that is loaded, and note() says so. Empty if none of the files exists. Throws
  /// as load() does.
  static std::optional<Tokenizer> find(const std::filesystem::path& model_directory);
  /// The byte tokenizer: one token per byte, with ids 0 to 255 and no end of sequence.
  static Tokenizer bytes();
  /// The same with the tokens of ChatML as the last of `vocab_size` ids. <|im_end|> ends a sequence.
  static Tokenizer bytes_and_chat(std::int32_t vocab_size);

  /// The ids of `text`. Invalid UTF-8 is read as U+FFFD, except by the byte tokenizer, which takes
  /// bytes as they are.
  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  /// The text of `ids`, without special tokens if `skip_special`. The text is always valid UTF-8:
  /// invalid bytes become U+FFFD. An id that the tokenizer does not have adds no text.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

  /// One more than the largest id.
  std::int32_t vocab_size() const;
  /// The ids of all tokens that end a text, without repetition. The first source is the vocabulary:
  /// `<|im_end|>`, else `<|endoftext|>`, else `</s>`. The second source is the files in the
  /// tokenizer's directory. The third source is the tokenizer.model itself.
  const std::vector<std::int32_t>& ends_of_sequence() const;
  /// The id of the token whose text is exactly `token`. Empty if there is no such token.
  std::optional<std::int32_t> token_id(std::string_view token) const;
  bool is_special(std::int32_t id) const;
  /// A choice that find() made for the caller, as one line. Usually empty.
  const std::string& note() const;
  /// The kind of tokenizer: "bpe", "sentencepiece" or "bytes".
  std::string_view kind() const;

  struct Impl;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// Decodes ids one at a time. The joined pieces equal Tokenizer::decode of all ids. A piece is
/// returned as soon as later ids cannot change it. It never ends inside a UTF-8 character.
class BX_API StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = false);
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;
  ~StreamDecoder();
  /// Adds an id. Returns the text that the id completes, which may be empty.
  std::string push(std::int32_t id);
  /// Returns the rest of the text, where incomplete characters are U+FFFD, and resets the decoder.
  std::string finish();

 private:
  struct Impl;
  Tokenizer tokenizer_;
  bool skip_special_;
  std::unique_ptr<Impl> impl_;
};

struct ChatMessage {
  std::string role;
  std::string content;
};

/// How chat messages become one text.
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
/// The template's special tokens that `tokenizer` does not recognize in a text. The model would see
/// them as plain text.
BX_API std::vector<std::string> missing_tokens(ChatTemplate how, const Tokenizer& tokenizer);

}  // namespace bitaxon
