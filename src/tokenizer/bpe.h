// tokenizer.json: byte-level byte-pair encoding, as in Hugging Face tokenizers.
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

/// The contents of a tokenizer.json, read and checked. Bpe makes them ready for use.
struct BpeFile {
  BpeVocabulary vocabulary;
  MergeTable merges{0};
  std::vector<AddedToken> added_tokens;
  PreTokenizer pre_tokenizer;
  bool nfc = false;
  bool ignore_merges = false;  ///< a piece that is in the vocabulary becomes one token at once
  /// The unk_token, which stands for a byte without a token. If empty, such a byte is dropped.
  std::optional<std::string> unknown_token;
  std::optional<std::int32_t> unknown;  ///< id of unknown_token; empty if the vocabulary lacks it
  bool fuse_unknown = false;            ///< adjacent unknown bytes become one token
};

/// All ids must be below this limit, so that tables can be indexed by id. The limit is larger than
/// any vocabulary.
inline constexpr std::int32_t kMaxTokenIds = 1 << 22;

/// Reads the text of a tokenizer.json. `name` begins every message. Throws Error(format) for a
/// broken file. Throws Error(unsupported) for a setting that changes the ids and is not
/// implemented; the message names the setting.
BpeFile read_bpe_file(std::string_view json, std::string_view name);

/// A byte-level BPE tokenizer. Encoding finds added tokens, normalizes the text, cuts it into
/// pieces and merges bytes. Immutable.
class Bpe {
 public:
  explicit Bpe(BpeFile file);

  /// The ids of `text`. Throws Error(invalid_argument) for a byte without a token when the
  /// unk_token is not in the vocabulary either.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// The bytes that `id` stands for. Empty for an id without a token.
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
  std::array<std::int32_t, 256> id_of_byte_;  // -1 when the vocabulary lacks the byte
  std::vector<Token> tokens_;                 // indexed by id
  std::string bytes_;                         // the bytes of all tokens
};

/// Reads a tokenizer.json with read_bpe_file() and makes a Bpe from it.
Bpe bpe_from_json(std::string_view json, std::string_view name);

}  // namespace bitaxon
