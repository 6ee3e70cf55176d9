// tokenizer.json: byte-pair encoding, as in Hugging Face tokenizers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bitaxon/tokenizer.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe_model.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/pipeline_file.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/token_decoder.h"

namespace bitaxon {

/// The contents of a tokenizer.json, read and checked. Bpe makes them ready for use.
struct BpeFile {
  BpeVocabulary vocabulary;
  MergeTable merges{0};
  std::vector<AddedToken> added_tokens;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  AddedAround around;
  TokenDecoder decoder;
  bool ignore_merges = false;  ///< a piece that is in the vocabulary becomes one token at once
  /// A character without a token becomes tokens of its bytes (<0x4A>), if all bytes have one.
  bool byte_fallback = false;
  /// The unk_token, which stands for a character without a token. If empty, such a character is
  /// dropped.
  std::optional<std::string> unknown_token;
  std::optional<std::int32_t> unknown;  ///< id of unknown_token; empty if the vocabulary lacks it
  bool fuse_unknown = false;            ///< adjacent unknown characters become one token
};

/// All ids must be below this limit, so that tables can be indexed by id. The limit is larger than
/// any vocabulary.
inline constexpr std::int32_t kMaxTokenIds = 1 << 22;

/// Reads the text of a tokenizer.json. `name` begins every message. Throws Error(format) for a
/// broken file. Throws Error(unsupported) for a setting that changes the ids and is not
/// implemented; the message names the setting.
BpeFile read_bpe_file(std::string_view json, std::string_view name);

/// A BPE tokenizer. Encoding finds added tokens, normalizes the text between them, cuts it into
/// pieces and merges the characters of a piece. Immutable.
class Bpe {
 public:
  explicit Bpe(BpeFile file);

  /// The ids of `text`. Throws Error(invalid_argument) for a character without a token when the
  /// unk_token is not in the vocabulary either.
  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  /// The text of a token as its decoder reads it. Empty for an id without a token.
  std::string_view token(std::int32_t id) const;
  /// Appends to `out` the text that the token of `id` completes. Call finish() after the last id.
  void decode_next(std::int32_t id, bool skip_special, TokenDecoder::State& state,
                   std::string& out) const;
  void finish(TokenDecoder::State& state, std::string& out) const;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;
  std::int32_t vocab_size() const { return static_cast<std::int32_t>(tokens_.size()); }
  std::optional<std::int32_t> token_id(std::string_view token) const;
  bool is_special(std::int32_t id) const;

 private:
  struct Token {
    std::uint32_t offset = 0, length = 0;
    bool exists = false;
    bool special = false;
    bool skipped = false;  ///< not shown when special tokens are skipped
  };
  struct Scratch;

  const Token* find(std::int32_t id) const;
  Token& add_text(std::int32_t id, std::string_view text);
  void add_added_tokens();
  void encode_raw(std::string_view raw, bool at_start, const PlainText& plain,
                  Scratch& scratch) const;
  void encode_piece(std::string_view piece, Scratch& scratch) const;
  void append_symbols(std::string_view piece, std::vector<std::int32_t>& symbols) const;
  bool append_bytes(std::string_view character, std::vector<std::int32_t>& symbols) const;
  std::int32_t id_of_character(char32_t code, std::string_view text) const;
  std::int32_t unknown_for(std::string_view character) const;

  BpeFile file_;
  AddedTokenFinder before_normalization_;
  AddedTokenFinder after_normalization_;
  std::unordered_map<std::string, std::int32_t> added_ids_;
  static constexpr std::size_t kQuick = 0x800;  // code points of at most two bytes
  std::array<std::int32_t, kQuick> quick_ids_;  // ids of these characters; -1 without a token
  std::array<std::int32_t, 256> ids_of_bytes_;  // ids of <0x00> to <0xFF>; -1 without a token
  std::vector<Token> tokens_;                   // indexed by id
  std::string texts_;                           // the texts of all tokens
};

/// Reads a tokenizer.json with read_bpe_file() and makes a Bpe from it.
Bpe bpe_from_json(std::string_view json, std::string_view name);

}  // namespace bitaxon
