// Reads the steps of tokenizer.json that surround the model. The names and defaults of fields come
// from the serialization in Hugging Face tokenizers (normalizers/*.rs, pre_tokenizers/*.rs,
// processors/*.rs, decoders/*.rs).
#pragma once

#include <cstdint>
#include <vector>

#include "formats/json.h"
#include "tokenizer/bpe_document.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/token_decoder.h"

namespace bitaxon {

/// The ids that a post-processor adds to a text.
struct AddedAround {
  std::vector<std::int32_t> before, after;
};

/// Limits how much longer a list of steps can make a text. A hostile file could double it in every
/// step.
class Growth {
 public:
  /// Counts a step that makes a text at most `factor` times as long. Throws Error(unsupported) if
  /// all steps together make it too long.
  void multiply(std::size_t factor, const Place& place);

 private:
  std::size_t product_ = 1;
};

/// Each reader accepts null, which is a component without steps, and Sequences. It throws
/// Error(format) for a broken component, and Error(unsupported) that names a component or a setting
/// that is not implemented.
Normalizer read_normalizer(const Json& component, const Place& place, Growth& growth);
PreTokenizer read_pre_tokenizer(const Json& component, const Place& place, Growth& growth);
AddedAround read_post_processor(const Json& component, const Place& place);
TokenDecoder read_decoder(const Json& component, const Place& place);

}  // namespace bitaxon
