// tokenizer.json: byte-level byte-pair encoding as Hugging Face tokenizers does it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe_model.h"
#include "tokenizer/pre_tokenizer.h"

namespace bitaxon {

/// What a tokenizer.json says, read and checked, not yet made ready for use.
struct BpeFile {
  BpeVocabulary vocabulary;
  MergeTable merges{0};
  std::vector<AddedToken> added_tokens;
  PreTokenizer pre_tokenizer;
  bool nfc = false;
  bool ignore_merges = false;  ///< a whole piece that is a token is that token
  /// The unk_token, which stands for a byte that is no token; without one such a byte is dropped.
  std::optional<std::string> unknown_token;
  std::optional<std::int32_t> unknown;  ///< its id; empty when the vocabulary lacks it
  bool fuse_unknown = false;            ///< neighbouring unknown bytes are one token
};

/// Ids are below this: far above any vocabulary, and low enough for tables by id.
inline constexpr std::int32_t kMaxTokenIds = 1 << 22;

/// Reads the text of a tokenizer.json; `name` begins every message. Throws Error(format) for what
/// is broken and Error(unsupported), naming it, for what would change the ids and is not
/// implemented.
BpeFile read_bpe_file(std::string_view json, std::string_view name);

/// The steps of encoding: added tokens, normalization, pieces, merges. Immutable after it is made.
class Bpe {
 public:
  explicit Bpe(BpeFile file);

  /// Throws Error(invalid_argument) for a byte that is no token when the unk_token is none either.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// The bytes that `id` stands for; empty for an id that is no token.
  std::string_view bytes_of(std::int32_t id) const;
  std::int32_t vocab_size() const { return static_cast<std::int32_t>(tokens_.size()); }
  std::optional<std::int32_t> token_id(std::string_view token) const;
  bool is_special(std::int32_t id) const;

 private:
  struct Token {
    std::uint32_t offset = 0, length = 0;
    bool special = false;
  };
  struct Scratch;

  void add_bytes(std::int32_t id, std::string_view bytes, bool special);
  void encode_piece(std::string_view piece, Scratch& scratch) const;
  void append_symbols(std::string_view piece, std::vector<std::int32_t>& symbols) const;
  std::int32_t unknown_for(char byte) const;

  BpeFile file_;
  AddedTokenFinder before_normalization_;
  AddedTokenFinder after_normalization_;
  std::unordered_map<std::string, std::int32_t> added_ids_;
  std::array<std::int32_t, 256> id_of_byte_;  // -1 where the vocabulary lacks the byte
  std::vector<Token> tokens_;                 // by id
  std::string bytes_;                         // of all tokens
};

/// Both steps at once.
Bpe bpe_from_json(std::string_view json, std::string_view name);

}  // namespace bitaxon
