// Loads any bytes as a tokenizer.json. A tokenizer that can be loaded must encode and decode
// without an error, its ids must be ids of its own, and its decoded text must be valid UTF-8.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bitaxon/error.h"
#include "platform/utf8.h"
#include "tokenizer/bpe.h"

namespace {

void check_text(const bitaxon::Bpe& bpe, std::string_view text, bitaxon::EncodeOptions options) {
  const std::vector<std::int32_t> ids = bpe.encode(text, options);
  for (const std::int32_t id : ids)
    if (id < 0 || id >= bpe.vocab_size()) std::abort();
  for (const bool skip_special : {false, true}) {
    const std::string decoded = bpe.decode(ids, skip_special);
    if (bitaxon::valid_prefix(decoded) != decoded.size()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kText = "It's 12 na\xC3\xAFve  caf\x65\xCC\x81\n\xF0\x9F\x99 <t> ab";
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  try {
    const bitaxon::Bpe bpe = bitaxon::bpe_from_json(json, "fuzz");
    check_text(bpe, kText, {});
    check_text(bpe, kText, {.add_special = true, .special_as_text = true});
    check_text(bpe, "", {.add_special = true});
  } catch (const bitaxon::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
