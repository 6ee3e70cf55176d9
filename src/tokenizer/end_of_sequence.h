// Which token ends a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

namespace bitaxon {

/// What the search must know of a tokenizer.
struct TokenLookup {
  std::function<std::optional<std::int32_t>(std::string_view)> id_of;
  std::int32_t vocab_size;
};

/// `<|im_end|>`, else `<|endoftext|>`, else `</s>`, else the first that the files beside
/// `tokenizer_file` name: `eos_token` or `eos_token_id` of tokenizer_config.json,
/// special_tokens_map.json, generation_config.json, config.json. The folder above counts too where
/// the file is tokenizer/tokenizer.json. What names a token the tokenizer does not have is passed
/// over. Throws Error(io, format) for such a file that cannot be read.
std::optional<std::int32_t> find_end_of_sequence(const TokenLookup& tokens,
                                                 const std::filesystem::path& tokenizer_file);

}  // namespace bitaxon
