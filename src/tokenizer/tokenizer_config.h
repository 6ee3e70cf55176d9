// tokenizer_config.json next to a tokenizer.model: the tokens that the model file does not know, and
// the token in front of a text.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/added_tokens.h"

namespace bitaxon {

struct TokenizerConfig {
  std::vector<AddedToken> added_tokens;  ///< without repetition of an id or a content
  /// The token that begins a text. Empty if texts begin without one.
  std::optional<std::string> beginning;
};

/// Reads the tokenizer_config.json in `folder`. Without the file, the result is empty. Throws
/// Error(io, format) that names the file, the key and the value.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

}  // namespace bitaxon
