#include "tokenizer/sentencepiece.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <limits>

#include "bitaxon/error.h"
#include "platform/utf8.h"
#include "tokenizer/sentencepiece_file.h"

#ifdef BITAXON_WITH_SENTENCEPIECE
#include <sentencepiece_processor.h>
#endif

namespace bitaxon {

#ifdef BITAXON_WITH_SENTENCEPIECE

namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, which stands for a space in pieces

std::string with_spaces(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t space = std::min(text.find(kSpace, at), text.size());
    out += text.substr(at, space - at);
    if (space < text.size()) out += ' ';
    at = space + kSpace.size();
  }
  return out;
}

// The byte of a piece such as "<0x4A>". The hexadecimal digits are in upper case.
char byte_of_piece(std::string_view piece) {
  return static_cast<char>(std::stoi(std::string(piece.substr(3, 2)), nullptr, 16));
}

}  // namespace

SentencePiece::Piece SentencePiece::read_piece(
    const sentencepiece::SentencePieceProcessor& processor, int id,
    const std::string& unknown_surface) {
  const std::string& text = processor.IdToPiece(id);
  // The library decodes the text of a piece and not its id. If several ids have the same text, the
  // kind of the id that PieceToId() returns counts.
  const int meant = processor.PieceToId(text);
  if (processor.IsByte(meant)) return {Piece::Kind::byte, {byte_of_piece(text)}, false};
  if (processor.IsControl(meant)) return {Piece::Kind::control, to_valid_utf8(text), false};
  if (processor.IsUnknown(meant)) return {Piece::Kind::unknown, unknown_surface, false};
  return {Piece::Kind::normal, to_valid_utf8(with_spaces(text)), text.starts_with(kSpace)};
}

SentencePiece SentencePiece::from_bytes(std::string_view bytes, std::string_view name) {
  const SentencePieceFile file = read_sentencepiece_file(bytes, name);
  const auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
  const auto refuse = [&](std::string_view why) {
    throw Error(ErrorKind::format,
                fmt::format("{}: SentencePiece model: {}", name, in_quotes(why)));
  };
  try {
    const auto status = processor->LoadFromSerializedProto(file.model);
    if (!status.ok()) refuse(status.message());
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    refuse(error.what());  // the library's trie throws exceptions
  }

  SentencePiece out;
  for (int id = 0; id < processor->GetPieceSize(); ++id)
    out.pieces_.push_back(read_piece(*processor, id, file.unknown_surface));
  if (const int eos = processor->eos_id(); eos >= 0) out.end_of_sequence_ = eos;
  out.strips_start_ = file.add_dummy_prefix || file.remove_extra_whitespaces;
  out.strips_all_start_ = file.remove_extra_whitespaces;
  out.name_ = name;
  out.processor_ = processor;
  return out;
}

std::vector<std::int32_t> SentencePiece::encode_text(std::string_view text) const {
  std::vector<int> ids;
  const auto status = processor_->Encode(text, &ids);
  if (!status.ok())
    throw Error(ErrorKind::format, fmt::format("{}: SentencePiece cannot encode this text: {}",
                                               name_, in_quotes(status.message())));
  return {ids.begin(), ids.end()};
}

std::optional<std::int32_t> SentencePiece::token_id(std::string_view token) const {
  if (const auto added = added_ids_.find(std::string(token)); added != added_ids_.end())
    return added->second;
  const int id = processor_->PieceToId(token);
  if (id < 0 || id >= processor_->GetPieceSize() || processor_->IdToPiece(id) != token)
    return std::nullopt;
  return id;
}

#else

SentencePiece SentencePiece::from_bytes(std::string_view, std::string_view name) {
  throw Error(
      ErrorKind::unsupported,
      fmt::format("{}: this build has no SentencePiece (BITAXON_WITH_SENTENCEPIECE)", name));
}

std::vector<std::int32_t> SentencePiece::encode_text(std::string_view) const { return {}; }

std::optional<std::int32_t> SentencePiece::token_id(std::string_view) const { return {}; }

#endif

void SentencePiece::add(const TokenizerConfig& config) {
  for (const AddedToken& token : config.added_tokens) {
    const auto index = static_cast<std::size_t>(token.id);
    if (index >= pieces_.size()) pieces_.resize(index + 1);
    pieces_[index] = {token.special ? Piece::Kind::control : Piece::Kind::normal, token.content,
                      false};
    added_ids_.emplace(token.content, token.id);
    added_tokens_.add(token, token.content);
  }
  if (!config.beginning) return;
  beginning_ = token_id(*config.beginning);
  if (!beginning_)
    throw Error(
        ErrorKind::format,
        fmt::format("{}: the bos_token {} of tokenizer_config.json is not in the vocabulary", name_,
                    in_quotes(*config.beginning)));
}

std::vector<std::int32_t> SentencePiece::encode(std::string_view text,
                                                EncodeOptions options) const {
  // The library counts in int, and normalization can make text about 18 times longer.
  if (text.size() > std::numeric_limits<std::int32_t>::max() / 64)
    throw Error(ErrorKind::invalid_argument, "[encode] text: expected at most 32 MiB");
  std::vector<std::int32_t> ids;
  if (options.add_special && beginning_) ids.push_back(*beginning_);
  const std::string repaired = to_valid_utf8(text);
  if (repaired != text && !options.plain.empty())
    throw Error(ErrorKind::invalid_argument, "[encode] text: expected UTF-8 with plain ranges");
  const PlainText plain{options.special_as_text, options.plain};
  for (const auto& segment : added_tokens_.split(repaired, plain)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
    } else {
      const std::vector<std::int32_t> part = encode_text(segment.text);
      ids.insert(ids.end(), part.begin(), part.end());
    }
  }
  return ids;
}

const SentencePiece::Piece* SentencePiece::piece(std::int32_t id) const {
  return id >= 0 && id < vocab_size() ? &pieces_[static_cast<std::size_t>(id)] : nullptr;
}

bool SentencePiece::is_special(std::int32_t id) const {
  const Piece* found = piece(id);
  return found != nullptr && found->kind == Piece::Kind::control;
}

void SentencePiece::finish_bytes(std::string& held, std::string& out) {
  for (std::size_t i = 0; i < held.size(); ++i) out += kReplacement;
  held.clear();
}

namespace {

// Moves the complete characters of a run of byte pieces to `out`. A byte that belongs to no
// character becomes one U+FFFD. In other text, several such bytes may become one U+FFFD.
void take_characters(std::string& held, std::string& out) {
  while (!held.empty()) {
    const Utf8Unit unit = first_unit(held);
    if (unit.kind == Utf8Unit::Kind::cut) return;
    if (unit.kind == Utf8Unit::Kind::character) {
      out.append(held, 0, unit.length);
    } else {
      for (std::size_t i = 0; i < unit.length; ++i) out += kReplacement;
    }
    held.erase(0, unit.length);
  }
}

}  // namespace

// Follows Decode in sentencepiece_processor.cc. If the model removes extra white space, this drops
// all white space at the start of the text. If the model only adds a dummy prefix, this drops one
// space.
void SentencePiece::decode_next(std::int32_t id, bool skip_special, bool& at_start,
                                std::string& held, std::string& out) const {
  const Piece* next = piece(id);
  if (next == nullptr) return;
  if (next->kind == Piece::Kind::byte) {
    at_start = false;
    held += next->text;
    take_characters(held, out);
    return;
  }
  finish_bytes(held, out);
  std::string_view text = next->text;
  if (next->kind == Piece::Kind::control) {
    if (!skip_special) out += text;
    return;
  }
  const bool strips = at_start && strips_start_ && next->leads_space;
  if (strips) text.remove_prefix(1);
  if (!text.empty() || (strips && !strips_all_start_)) at_start = false;
  out += text;
}

}  // namespace bitaxon
