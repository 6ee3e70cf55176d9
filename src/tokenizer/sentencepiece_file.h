// Reads settings of a tokenizer.model that the SentencePiece library does not report, and checks
// the file where the library does not.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon {

/// The settings that decoding needs, with SentencePiece's defaults.
struct SentencePieceFile {
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  std::string unknown_surface = " \xE2\x81\x87 ";
  /// The file without its self-test, because the library prints the failures of the self-test.
  std::string model;
};

/// Reads the needed fields of the protocol buffer (sentencepiece_model.proto). The library trusts
/// the file: a broken character map makes it read outside its memory, and an unusual piece makes it
/// abort. `name` begins every message. Throws Error(format) for a broken file. Throws
/// Error(unsupported) for a denormalizer, which changes the whole text and so cannot be streamed.
SentencePieceFile read_sentencepiece_file(std::string_view bytes, std::string_view name);

}  // namespace bitaxon
