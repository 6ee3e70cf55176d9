#include "tokenizer/bpe.h"

#include <fmt/format.h>

#include <limits>
#include <unordered_set>

#include "bitaxon/error.h"
#include "platform/utf8.h"

namespace bitaxon {

Bpe::Bpe(BpeFile file) : file_(std::move(file)) {
  const BpeVocabulary& vocabulary = file_.vocabulary;
  for (std::size_t i = 0; i < vocabulary.size(); ++i)
    add_text(vocabulary.id(i), vocabulary.token(i));
  add_added_tokens();
  quick_ids_.fill(-1);
  std::string text;
  for (std::size_t code = 0; code < kQuick; ++code) {
    text.clear();
    append_character(text, static_cast<char32_t>(code));
    quick_ids_[code] = vocabulary.find(text).value_or(-1);
  }
  for (std::size_t byte = 0; byte < 256; ++byte)
    ids_of_bytes_[byte] = vocabulary.find(fmt::format("<0x{:02X}>", byte)).value_or(-1);
}

// A token that is looked for in normalized text is decoded in its normalized form. With that form
// it counts as special only if another special token has this text.
void Bpe::add_added_tokens() {
  std::unordered_set<std::string_view> specials;
  for (const AddedToken& token : file_.added_tokens)
    if (token.special) specials.insert(token.content);
  // Adds special tokens first: if two tokens normalize to the same text, the special token wins.
  for (const bool special : {true, false}) {
    for (const AddedToken& token : file_.added_tokens) {
      if (token.special != special) continue;
      bool keeps_start = true;
      const std::string text =
          token.normalized ? file_.normalizer.apply(token.content, keeps_start) : token.content;
      Token& added = add_text(token.id, text);
      added.special = special;
      added.skipped = specials.contains(text);
      added_ids_.emplace(token.content, token.id);
      (token.normalized ? after_normalization_ : before_normalization_).add(token, text);
    }
  }
}

Bpe::Token& Bpe::add_text(std::int32_t id, std::string_view text) {
  const auto index = static_cast<std::size_t>(id);
  if (index >= tokens_.size()) tokens_.resize(index + 1);
  tokens_[index] = {static_cast<std::uint32_t>(texts_.size()),
                    static_cast<std::uint32_t>(text.size()), true};
  texts_ += text;
  return tokens_[index];
}

// Buffers that are reused while one text is encoded.
struct Bpe::Scratch {
  MergeLoop loop;
  std::vector<std::int32_t> symbols;
  std::vector<std::int32_t> ids;  // the result
};

std::vector<std::int32_t> Bpe::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > std::numeric_limits<std::int32_t>::max() / 4)
    throw Error(ErrorKind::invalid_argument, "[encode] text: expected at most 512 MiB");
  const bool is_valid = valid_prefix(text) == text.size();
  if (!is_valid && !options.plain.empty())
    throw Error(ErrorKind::invalid_argument, "[encode] text: expected UTF-8 with plain ranges");
  const std::string repaired = is_valid ? std::string() : to_valid_utf8(text);
  if (!is_valid) text = repaired;

  const PlainText plain{options.special_as_text, options.plain};
  Scratch scratch;
  if (options.add_special) scratch.ids = file_.around.before;
  for (const auto& raw : before_normalization_.split(text, plain)) {
    if (raw.id >= 0) {
      scratch.ids.push_back(raw.id);
      continue;
    }
    const auto begin = static_cast<std::size_t>(raw.text.data() - text.data());
    encode_raw(raw.text, begin == 0, {plain.meets(begin, begin + raw.text.size())}, scratch);
  }
  if (options.add_special)
    scratch.ids.insert(scratch.ids.end(), file_.around.after.begin(), file_.around.after.end());
  return std::move(scratch.ids);
}

// Encodes text without a token that is looked for before normalization.
void Bpe::encode_raw(std::string_view raw, bool at_start, const PlainText& plain,
                     Scratch& scratch) const {
  bool keeps_start = true;
  const std::string normal = file_.normalizer.apply(raw, keeps_start);
  for (const auto& segment : after_normalization_.split(normal, plain)) {
    if (segment.id >= 0) {
      scratch.ids.push_back(segment.id);
      continue;
    }
    const bool first = at_start && keeps_start && segment.text.data() == normal.data();
    file_.pre_tokenizer.split(segment.text, first,
                              [&](std::string_view piece) { encode_piece(piece, scratch); });
  }
}

void Bpe::encode_piece(std::string_view piece, Scratch& scratch) const {
  if (file_.ignore_merges) {
    if (const auto id = file_.vocabulary.find(piece)) {
      scratch.ids.push_back(*id);
      return;
    }
  }
  scratch.symbols.clear();
  append_symbols(piece, scratch.symbols);
  if (scratch.symbols.size() > 1) scratch.loop.run(file_.merges, scratch.symbols);
  scratch.ids.insert(scratch.ids.end(), scratch.symbols.begin(), scratch.symbols.end());
}

// An unknown token is held until a character with a token follows. The tokens of bytes do not count
// for that, so they come before an unknown token that precedes them in the text. Hugging Face
// tokenizers does the same (models/bpe/model.rs, merge_word).
void Bpe::append_symbols(std::string_view piece, std::vector<std::int32_t>& symbols) const {
  constexpr std::int32_t kNone = -1;
  std::int32_t held = kNone;
  for (std::size_t at = 0; at < piece.size();) {
    const Character c = first_character(piece.substr(at));
    const std::string_view text = piece.substr(at, c.length);
    at += c.length;
    if (const std::int32_t id = id_of_character(c.code, text); id >= 0) {
      if (held != kNone) symbols.push_back(held);
      held = kNone;
      symbols.push_back(id);
    } else if (!(file_.byte_fallback && append_bytes(text, symbols)) && file_.unknown_token) {
      if (held != kNone && !file_.fuse_unknown) symbols.push_back(held);
      held = unknown_for(text);
    }
  }
  if (held != kNone) symbols.push_back(held);
}

std::int32_t Bpe::id_of_character(char32_t code, std::string_view text) const {
  return code < kQuick ? quick_ids_[code] : file_.vocabulary.find(text).value_or(-1);
}

// Appends the tokens of the bytes. Appends nothing and returns false if a byte has no token.
bool Bpe::append_bytes(std::string_view character, std::vector<std::int32_t>& symbols) const {
  const auto id_of = [&](char byte) { return ids_of_bytes_[static_cast<unsigned char>(byte)]; };
  for (const char byte : character)
    if (id_of(byte) < 0) return false;
  for (const char byte : character) symbols.push_back(id_of(byte));
  return true;
}

std::int32_t Bpe::unknown_for(std::string_view character) const {
  if (!file_.unknown)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("text: expected characters that the tokenizer has tokens for, got {} "
                            "(and its unk_token {} is not in its vocabulary)",
                            in_quotes(character), in_quotes(*file_.unknown_token)));
  return *file_.unknown;
}

const Bpe::Token* Bpe::find(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size()) return nullptr;
  const Token& token = tokens_[static_cast<std::size_t>(id)];
  return token.exists ? &token : nullptr;
}

std::string_view Bpe::token(std::int32_t id) const {
  const Token* found = find(id);
  if (found == nullptr) return {};
  return std::string_view(texts_).substr(found->offset, found->length);
}

void Bpe::decode_next(std::int32_t id, bool skip_special, TokenDecoder::State& state,
                      std::string& out) const {
  const Token* found = find(id);
  if (found == nullptr || (skip_special && found->skipped)) return;
  file_.decoder.push(state, token(id), out);
}

void Bpe::finish(TokenDecoder::State& state, std::string& out) const {
  file_.decoder.finish(state, out);
}

std::string Bpe::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string text;
  TokenDecoder::State state;
  for (const std::int32_t id : ids) decode_next(id, skip_special, state, text);
  finish(state, text);
  return text;
}

std::optional<std::int32_t> Bpe::token_id(std::string_view token) const {
  const auto added = added_ids_.find(std::string(token));
  return added != added_ids_.end() ? added->second : file_.vocabulary.find(token);
}

bool Bpe::is_special(std::int32_t id) const {
  const Token* found = find(id);
  return found != nullptr && found->special;
}

Bpe bpe_from_json(std::string_view json, std::string_view name) {
  return Bpe(read_bpe_file(json, name));
}

}  // namespace bitaxon
