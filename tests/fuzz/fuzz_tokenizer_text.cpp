// Encodes any bytes with tokenizers of several kinds, and decodes any ids. The first byte of the
// input chooses the tokenizer. Ids must be ids of the tokenizer, texts must be valid UTF-8, and
// decoding id by id must give the text of all ids.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "platform/utf8.h"
#include "tokenizer/bpe.h"

namespace {

using bitaxon::Bpe;

// All kinds of steps occur. The vocabulary has the spelled bytes, byte tokens and some merges.
constexpr std::array<std::string_view, 4> kPipelines = {
    // Falcon
    R"("normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "ByteLevel"},
        {"type": "Digits", "individual_digits": false},
        {"type": "Split", "pattern": {"Regex": "[0-9][0-9][0-9]"}, "behavior": "Isolated"}]},
        "decoder": {"type": "ByteLevel"})",
    // Llama 2
    R"("normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "decoder": {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})",
    R"("normalizer": {"type": "NFKD"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Whitespace"}, {"type": "Metaspace", "replacement": "\u2581"}]},
        "decoder": {"type": "Metaspace", "replacement": "\u2581"})",
    R"("normalizer": {"type": "Strip"}, "pre_tokenizer": {"type": "Split", "invert": true,
        "pattern": {"Regex": "\\p{L}+|\\s"}, "behavior": "MergedWithNext"}, "decoder": null)",
};

std::string tokenizer_json(std::string_view pipeline) {
  std::string json = R"({"model": {"type": "BPE", "byte_fallback": true, "unk_token": "\u2581",
                         "merges": ["a b", "\u2581 a"], "vocab": {"\u2581": 0, "\u2581a": 1,
                         "ab": 2, "<0x61>": 3, "<0xE2>": 4, "<0x96>": 5, "<0x81>": 6)";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string_view spelling = bitaxon::spelling_of(static_cast<unsigned char>(byte));
    json += ", \"";
    if (spelling == "\"" || spelling == "\\") json += '\\';
    json.append(spelling).append("\": ").append(std::to_string(7 + byte));
  }
  json += R"(}}, "added_tokens": [{"id": 263, "content": "<s>", "special": true, "rstrip": true},
          {"id": 264, "content": "  ", "lstrip": true, "normalized": true},
          {"id": 2, "content": "ab", "single_word": true}], )";
  return json.append(pipeline) + "}";
}

void expect(bool holds) {
  if (!holds) std::abort();
}

void check_ids(const Bpe& bpe, const std::vector<std::int32_t>& ids, bool skip_special) {
  const std::string text = bpe.decode(ids, skip_special);
  expect(bitaxon::valid_prefix(text) == text.size());
  std::string streamed;
  bitaxon::TokenDecoder::State state;
  for (const std::int32_t id : ids) {
    std::string piece;
    bpe.decode_next(id, skip_special, state, piece);
    expect(bitaxon::valid_prefix(piece) == piece.size());
    streamed += piece;
  }
  bpe.finish(state, streamed);
  expect(streamed == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::array<Bpe, kPipelines.size()> tokenizers = [] {
    const auto make = [](std::size_t i) {
      return bitaxon::bpe_from_json(tokenizer_json(kPipelines[i]), "fuzz");
    };
    return std::array{make(0), make(1), make(2), make(3)};
  }();
  if (size == 0) return 0;
  const Bpe& bpe = tokenizers[data[0] % tokenizers.size()];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const bool special_as_text : {false, true}) {
    const auto ids = bpe.encode(text, {.special_as_text = special_as_text});
    for (const std::int32_t id : ids) expect(id >= 0 && id < bpe.vocab_size());
    check_ids(bpe, ids, special_as_text);
  }
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const auto low = static_cast<unsigned char>(text[i]),
               high = static_cast<unsigned char>(text[i + 1]);
    ids.push_back(low | (high & 1) << 8);
  }
  for (const bool skip_special : {false, true}) check_ids(bpe, ids, skip_special);
  return 0;
}
