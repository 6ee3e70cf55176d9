#include "bitaxon/tokenizer.h"

#include <fmt/format.h>

#include <variant>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "formats/pointer_file.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/utf8.h"
#include "tokenizer/bpe.h"
#include "tokenizer/end_of_sequence.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer/tokenizer_config.h"
#include "tokenizer/truncation.h"

namespace bitaxon {

namespace {

namespace fs = std::filesystem;

// The byte tokenizer, which has one token for each byte.
struct ByteTokenizer {
  static constexpr std::int32_t kSize = 256;

  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions) const {
    std::vector<std::int32_t> ids;
    ids.reserve(text.size());
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::int32_t vocab_size() const { return kSize; }
  std::optional<std::int32_t> token_id(std::string_view token) const {
    if (token.size() != 1) return std::nullopt;
    return static_cast<unsigned char>(token[0]);
  }
  bool is_special(std::int32_t) const { return false; }
};

// What decoding keeps from id to id. Each kind of tokenizer uses its own members.
struct DecodeState {
  bool at_start = true;
  std::string held;           // bytes of an incomplete character
  TokenDecoder::State steps;  // of a Bpe
};

void decode_next(const ByteTokenizer&, std::int32_t id, bool, DecodeState& state,
                 std::string& out) {
  if (id < 0 || id >= ByteTokenizer::kSize) return;
  state.held += static_cast<char>(id);
  out += take_complete(state.held);
}

void decode_next(const Bpe& bpe, std::int32_t id, bool skip_special, DecodeState& state,
                 std::string& out) {
  bpe.decode_next(id, skip_special, state.steps, out);
}

void decode_next(const SentencePiece& pieces, std::int32_t id, bool skip_special,
                 DecodeState& state, std::string& out) {
  pieces.decode_next(id, skip_special, state.at_start, state.held, out);
}

// Ends the text. The held bytes are one incomplete character, which becomes one U+FFFD.
void decode_rest(const ByteTokenizer&, DecodeState& state, std::string& out) {
  out += to_valid_utf8(state.held);
}

void decode_rest(const Bpe& bpe, DecodeState& state, std::string& out) {
  bpe.finish(state.steps, out);
}

void decode_rest(const SentencePiece&, DecodeState& state, std::string& out) {
  SentencePiece::finish_bytes(state.held, out);
}

enum class FileKind { json, protocol_buffer, neither };

// The kind of a tokenizer file. White space at the start is skipped only for JSON, because a
// protocol buffer usually begins with the byte 0x0A, which is the tag of its first field and a line
// feed.
FileKind kind_of(std::string_view bytes) {
  const std::string_view text = without_byte_order_mark(bytes);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') return FileKind::json;
  constexpr std::string_view kTags = "\x0A\x12\x1A\x22\x2A";  // the fields of a ModelProto
  const bool tag = !bytes.empty() && kTags.find(bytes[0]) != std::string_view::npos;
  return tag ? FileKind::protocol_buffer : FileKind::neither;
}

}  // namespace

struct BX_HIDDEN Tokenizer::Impl {
  std::variant<ByteTokenizer, Bpe, SentencePiece> kind;
  std::vector<std::int32_t> ends_of_sequence;
  std::string note;

  template <class Visitor>
  decltype(auto) visit(Visitor&& visitor) const {
    return std::visit(std::forward<Visitor>(visitor), kind);
  }
};

Tokenizer Tokenizer::load(const fs::path& file) {
  constexpr std::uint64_t kMaxBytes = std::uint64_t{512} << 20;
  const std::string bytes = read_whole_file(file, kMaxBytes);
  refuse_pointer_or_empty(bytes, file);
  const std::string name = file.string();
  auto impl = std::make_shared<Impl>();
  std::optional<std::int32_t> own_end;
  const FileKind kind = kind_of(bytes);
  if (kind == FileKind::neither)
    throw Error(
        ErrorKind::format,
        fmt::format("{}: expected a JSON object or a SentencePiece model, got neither", name));
  if (kind == FileKind::json) {
    impl->kind = bpe_from_json(bytes, name);
  } else {
    auto pieces = SentencePiece::from_bytes(bytes, name);
    own_end = pieces.end_of_sequence();
    pieces.add(read_tokenizer_config(file.parent_path()));
    impl->kind = std::move(pieces);
  }
  Tokenizer tokenizer(impl);
  const TokenLookup lookup{[&](std::string_view token) { return tokenizer.token_id(token); },
                           tokenizer.vocab_size(), own_end};
  impl->ends_of_sequence = find_ends_of_sequence(lookup, file);
  return tokenizer;
}

std::optional<Tokenizer> Tokenizer::find(const fs::path& model_directory) {
  const fs::path model = model_directory / "tokenizer.model";
  for (const char* name : {"tokenizer.json", "tokenizer/tokenizer.json"}) {
    const fs::path file = model_directory / name;
    if (!optional_file_exists(file)) continue;
    try {
      return load(file);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::unsupported || !optional_file_exists(model)) throw;
      const Tokenizer other = load(model);
      auto impl = std::make_shared<Impl>(*other.impl_);
      impl->note = fmt::format("tokenizer.model is used instead of {}", error.what());
      return Tokenizer(std::move(impl));
    }
  }
  if (optional_file_exists(model)) return load(model);
  return std::nullopt;
}

const std::string& Tokenizer::note() const { return impl_->note; }

Tokenizer Tokenizer::bytes() {
  return Tokenizer(std::make_shared<Impl>(Impl{ByteTokenizer{}, {}, {}}));
}

Tokenizer Tokenizer::bytes_and_chat(std::int32_t vocab_size) {
  auto impl = std::make_shared<Impl>();
  impl->kind = bpe_from_json(byte_tokenizer_json(vocab_size), "byte tokenizer");
  Tokenizer tokenizer(impl);
  impl->ends_of_sequence = {tokenizer.token_id("<|im_end|>").value()};
  return tokenizer;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  return impl_->visit([&](const auto& kind) { return kind.encode(text, options); });
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  return impl_->visit([&](const auto& kind) {
    std::string text;
    DecodeState state;
    for (const std::int32_t id : ids) decode_next(kind, id, skip_special, state, text);
    decode_rest(kind, state, text);
    return text;
  });
}

std::int32_t Tokenizer::vocab_size() const {
  return impl_->visit([](const auto& kind) { return kind.vocab_size(); });
}

const std::vector<std::int32_t>& Tokenizer::ends_of_sequence() const {
  return impl_->ends_of_sequence;
}

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const {
  return impl_->visit([&](const auto& kind) { return kind.token_id(token); });
}

bool Tokenizer::is_special(std::int32_t id) const {
  return impl_->visit([&](const auto& kind) { return kind.is_special(id); });
}

std::string_view Tokenizer::kind() const {
  constexpr std::string_view kNames[] = {"bytes", "bpe",
                                         "sentencepiece"};  // in the variant's order
  return kNames[impl_->kind.index()];
}

struct BX_HIDDEN StreamDecoder::Impl : DecodeState {};

StreamDecoder::StreamDecoder(Tokenizer tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)),
      skip_special_(skip_special),
      impl_(std::make_unique<Impl>()) {}

StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;
StreamDecoder::~StreamDecoder() = default;

std::string StreamDecoder::push(std::int32_t id) {
  std::string text;
  tokenizer_.impl_->visit(
      [&](const auto& kind) { decode_next(kind, id, skip_special_, *impl_, text); });
  return text;
}

std::string StreamDecoder::finish() {
  std::string text;
  tokenizer_.impl_->visit([&](const auto& kind) { decode_rest(kind, *impl_, text); });
  *impl_ = {};
  return text;
}

}  // namespace bitaxon
