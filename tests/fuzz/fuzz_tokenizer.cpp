// Loads any bytes as a tokenizer.json. A tokenizer that can be loaded must encode and decode
// without an error, and its decoded text must be valid UTF-8.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bitaxon/error.h"
#include "tokenizer/bpe.h"
#include "tokenizer/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kText = "It's 12 na\xC3\xAFve  caf\x65\xCC\x81\n\xF0\x9F\x99 <t> ab";
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  try {
    const bitaxon::Bpe bpe = bitaxon::bpe_from_json(json, "fuzz");
    std::string bytes;
    for (const std::int32_t id : bpe.encode(kText)) {
      if (id < 0 || id >= bpe.vocab_size()) std::abort();
      bytes += bpe.bytes_of(id);
    }
    const std::string text = bitaxon::to_valid_utf8(bytes);
    if (bitaxon::valid_prefix(text) != text.size()) std::abort();
  } catch (const bitaxon::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
