#include "tokenizer/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "bitaxon/error.h"
#include "tokenizer/nfc.h"
#include "tokenizer/utf8.h"

namespace bitaxon {

Bpe::Bpe(BpeFile file) : file_(std::move(file)) {
  const BpeVocabulary& vocabulary = file_.vocabulary;
  for (std::size_t i = 0; i < vocabulary.size(); ++i)
    add_bytes(vocabulary.id(i), bytes_of_spelling(vocabulary.token(i)), false);
  // Adds special tokens first: if two tokens normalize to the same text, the special token wins.
  for (const bool special : {true, false}) {
    for (const AddedToken& token : file_.added_tokens) {
      if (token.special != special) continue;
      add_bytes(token.id, token.content, special);
      added_ids_.emplace(token.content, token.id);
      if (!token.normalized) {
        before_normalization_.add(token, token.content);
      } else {
        after_normalization_.add(token, file_.nfc ? to_nfc(token.content) : token.content);
      }
    }
  }
  for (std::size_t byte = 0; byte < 256; ++byte)
    id_of_byte_[byte] = vocabulary.find(spelling_of(static_cast<unsigned char>(byte))).value_or(-1);
}

void Bpe::add_bytes(std::int32_t id, std::string_view bytes, bool special) {
  const auto index = static_cast<std::size_t>(id);
  if (index >= tokens_.size()) tokens_.resize(index + 1);
  tokens_[index] = {static_cast<std::uint32_t>(bytes_.size()),
                    static_cast<std::uint32_t>(bytes.size()), special};
  bytes_ += bytes;
}

// Buffers that are reused while one text is encoded.
struct Bpe::Scratch {
  MergeLoop loop;
  std::string spelling;
  std::vector<std::int32_t> symbols;
  std::vector<std::int32_t> ids;  // the result
};

std::vector<std::int32_t> Bpe::encode(std::string_view text) const {
  if (text.size() > std::numeric_limits<std::int32_t>::max() / 4)
    throw Error(ErrorKind::invalid_argument, "[encode] text: expected at most 512 MiB");
  const std::string repaired =
      valid_prefix(text) == text.size() ? std::string() : to_valid_utf8(text);
  if (!repaired.empty()) text = repaired;

  Scratch scratch;
  for (const auto& raw : before_normalization_.split(text)) {
    if (raw.id >= 0) {
      scratch.ids.push_back(raw.id);
      continue;
    }
    const std::string normalized = file_.nfc ? to_nfc(raw.text) : std::string(raw.text);
    for (const auto& segment : after_normalization_.split(normalized)) {
      if (segment.id >= 0) {
        scratch.ids.push_back(segment.id);
      } else {
        file_.pre_tokenizer.split(segment.text,
                                  [&](std::string_view piece) { encode_piece(piece, scratch); });
      }
    }
  }
  return std::move(scratch.ids);
}

void Bpe::encode_piece(std::string_view piece, Scratch& scratch) const {
  if (file_.ignore_merges) {
    scratch.spelling.clear();
    for (const char c : piece) scratch.spelling += spelling_of(static_cast<unsigned char>(c));
    if (const auto id = file_.vocabulary.find(scratch.spelling)) {
      scratch.ids.push_back(*id);
      return;
    }
  }
  scratch.symbols.clear();
  append_symbols(piece, scratch.symbols);
  if (scratch.symbols.size() > 1) scratch.loop.run(file_.merges, scratch.symbols);
  scratch.ids.insert(scratch.ids.end(), scratch.symbols.begin(), scratch.symbols.end());
}

void Bpe::append_symbols(std::string_view piece, std::vector<std::int32_t>& symbols) const {
  bool after_unknown = false;
  for (const char c : piece) {
    const std::int32_t id = id_of_byte_[static_cast<unsigned char>(c)];
    if (id >= 0) {
      symbols.push_back(id);
    } else if (file_.unknown_token && !(after_unknown && file_.fuse_unknown)) {
      symbols.push_back(unknown_for(c));
    }
    after_unknown = id < 0;
  }
}

std::int32_t Bpe::unknown_for(char byte) const {
  if (!file_.unknown)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("text: expected bytes that the tokenizer has tokens for, got 0x{:02x} "
                            "(and its unk_token {} is not in its vocabulary)",
                            static_cast<unsigned char>(byte), in_quotes(*file_.unknown_token)));
  return *file_.unknown;
}

std::string_view Bpe::bytes_of(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size()) return {};
  const Token& token = tokens_[static_cast<std::size_t>(id)];
  return std::string_view(bytes_).substr(token.offset, token.length);
}

std::optional<std::int32_t> Bpe::token_id(std::string_view token) const {
  const auto added = added_ids_.find(std::string(token));
  return added != added_ids_.end() ? added->second : file_.vocabulary.find(token);
}

bool Bpe::is_special(std::int32_t id) const {
  return id >= 0 && static_cast<std::size_t>(id) < tokens_.size() &&
         tokens_[static_cast<std::size_t>(id)].special;
}

Bpe bpe_from_json(std::string_view json, std::string_view name) {
  return Bpe(read_bpe_file(json, name));
}

}  // namespace bitaxon
