// Finds the end-of-sequence tokens of a model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace bitaxon {

/// The properties of a tokenizer that the search needs.
struct TokenLookup {
  std::function<std::optional<std::int32_t>(std::string_view)> id_of;
  std::int32_t vocab_size;
  std::optional<std::int32_t> own;  ///< the end-of-sequence token that the tokenizer's file names
};

/// All tokens that end a text, without repetition, from three sources in this order:
///   1. `<|im_end|>`, else `<|endoftext|>`, else `</s>`
///   2. the tokens that the files next to `tokenizer_file` name
///   3. the token that the tokenizer's own file names
/// The files of source 2 are tokenizer_config.json, special_tokens_map.json,
/// generation_config.json and config.json. Their keys are `eos_token` (a text, or an object with
/// `content`) and `eos_token_id`. A key has one value or a list of values. For
/// tokenizer/tokenizer.json, the files in the folder above are read too. A token that the tokenizer
/// does not have is ignored. Throws Error(io, format) for a file that cannot be read.
std::vector<std::int32_t> find_ends_of_sequence(const TokenLookup& tokens,
                                                const std::filesystem::path& tokenizer_file);

}  // namespace bitaxon
