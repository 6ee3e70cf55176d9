// tokenizer.model: SentencePiece through its library.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace bitaxon {

/// A SentencePiece model of any type. Immutable; safe to use from several threads. In a build
/// without the library nothing can make one.
class SentencePiece {
 public:
  /// What an id contributes to the text.
  struct Piece {
    enum class Kind {
      normal,   ///< its text; white space at its front falls away at the start of the text
      byte,     ///< one byte of a character
      control,  ///< its text, which is left out with the special tokens
      unknown,  ///< a sign for an unknown word
    };
    Kind kind = Kind::normal;
    std::string text;          ///< white space as it comes out
    bool leads_space = false;  ///< `text` begins with white space that a piece may lose
  };

  /// `bytes` is the content of a tokenizer.model; `name` begins every message. Throws Error(format,
  /// unsupported).
  static SentencePiece from_bytes(std::string_view bytes, std::string_view name);

  /// Neither bos nor eos is added. Control symbols in the text are text.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// Null for an id that is no piece.
  const Piece* piece(std::int32_t id) const;
  std::int32_t vocab_size() const { return static_cast<std::int32_t>(pieces_.size()); }
  std::optional<std::int32_t> token_id(std::string_view token) const;
  bool is_special(std::int32_t id) const;
  /// What the model file itself names.
  std::optional<std::int32_t> end_of_sequence() const { return end_of_sequence_; }

  /// The text of `id`, appended to `out`. `at_start` is whether the text has not begun yet, and
  /// `held` the bytes of a character that is not whole; both go from id to id.
  void decode_next(std::int32_t id, bool skip_special, bool& at_start, std::string& held,
                   std::string& out) const;
  /// What `held` comes to when no more bytes follow: U+FFFD for each, as the library has it.
  static void finish_bytes(std::string& held, std::string& out);

 private:
  SentencePiece() = default;
  static Piece read_piece(const sentencepiece::SentencePieceProcessor& processor, int id,
                          const std::string& unknown_surface);

  std::shared_ptr<const sentencepiece::SentencePieceProcessor> processor_;
  std::vector<Piece> pieces_;
  std::optional<std::int32_t> end_of_sequence_;
  std::string name_;
  bool strips_start_ = true;      // white space at the start of the text falls away,
  bool strips_all_start_ = true;  // as often as it comes
};

}  // namespace bitaxon
