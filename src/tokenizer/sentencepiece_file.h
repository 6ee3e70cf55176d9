// What must be known of a tokenizer.model beyond what the SentencePiece library tells, and checks
// that the library leaves out.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon {

/// The settings that decoding depends on, with SentencePiece's defaults.
struct SentencePieceFile {
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  std::string unknown_surface = " \xE2\x81\x87 ";
  /// The file without its self-test, whose failures the library prints.
  std::string model;
};

/// Reads the protocol buffer (sentencepiece_model.proto) just far enough. The library trusts the
/// file: a broken character map makes it read outside its memory, an odd piece makes it abort.
/// `name` begins every message. Throws Error(format), and Error(unsupported) for a denormalizer,
/// which changes text as a whole and so cannot be streamed.
SentencePieceFile read_sentencepiece_file(std::string_view bytes, std::string_view name);

}  // namespace bitaxon
