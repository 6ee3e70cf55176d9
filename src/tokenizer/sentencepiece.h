// tokenizer.model: SentencePiece models, run by the SentencePiece library.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bitaxon/tokenizer.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/tokenizer_config.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace bitaxon {

/// A SentencePiece model of any type. Immutable and thread-safe. In a build without the library
/// from_bytes() always throws.
class SentencePiece {
 public:
  /// The kind and the text of one id.
  struct Piece {
    enum class Kind {
      normal,   ///< plain text; leading white space is removed at the start of the output
      byte,     ///< one byte of a character
      control,  ///< a special token, whose text is left out with skip_special
      unknown,  ///< the text that stands for an unknown word
    };
    Kind kind = Kind::normal;
    std::string text;          ///< the text as it is in the output, with spaces instead of U+2581
    bool leads_space = false;  ///< `text` begins with white space that may be removed
  };

  /// `bytes` is the content of a tokenizer.model. `name` begins every message. Throws Error(format,
  /// unsupported).
  static SentencePiece from_bytes(std::string_view bytes, std::string_view name);
  /// Adds the tokens that the tokenizer_config.json of the model names. Throws Error(format) that
  /// begins with the model's name.
  void add(const TokenizerConfig& config);

  /// The ids of a text. Control symbols in the text are treated as text unless they were added.
  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  /// The piece of `id`, or null for an id without a piece.
  const Piece* piece(std::int32_t id) const;
  std::int32_t vocab_size() const { return static_cast<std::int32_t>(pieces_.size()); }
  std::optional<std::int32_t> token_id(std::string_view token) const;
  bool is_special(std::int32_t id) const;
  /// The end-of-sequence token that the model file names.
  std::optional<std::int32_t> end_of_sequence() const { return end_of_sequence_; }

  /// Appends the text of `id` to `out`. `at_start` is true until the text has begun. `held` holds
  /// the bytes of an incomplete character. The caller keeps both variables from id to id.
  void decode_next(std::int32_t id, bool skip_special, bool& at_start, std::string& held,
                   std::string& out) const;
  /// Call this when no more bytes follow. Appends one U+FFFD for each byte of `held`, as the
  /// library does, and clears `held`.
  static void finish_bytes(std::string& held, std::string& out);

 private:
  SentencePiece() = default;
  static Piece read_piece(const sentencepiece::SentencePieceProcessor& processor, int id,
                          const std::string& unknown_surface);

  std::vector<std::int32_t> encode_text(std::string_view text) const;

  std::shared_ptr<const sentencepiece::SentencePieceProcessor> processor_;
  AddedTokenFinder added_tokens_;
  std::unordered_map<std::string, std::int32_t> added_ids_;
  std::optional<std::int32_t> beginning_;  // the token in front of a text
  std::vector<Piece> pieces_;
  std::optional<std::int32_t> end_of_sequence_;
  std::string name_;
  bool strips_start_ = true;      // removes white space at the start of the text
  bool strips_all_start_ = true;  // removes all white space at the start, not only one space
};

}  // namespace bitaxon
