// Which tokens end a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace bitaxon {

/// What the search must know of a tokenizer.
struct TokenLookup {
  std::function<std::optional<std::int32_t>(std::string_view)> id_of;
  std::int32_t vocab_size;
  std::optional<std::int32_t> own;  ///< the one that the tokenizer's file itself names
};

/// All tokens that end a text, each once: `<|im_end|>`, else `<|endoftext|>`, else `</s>`; those
/// that the files beside `tokenizer_file` name; the tokenizer's own. The files are
/// tokenizer_config.json, special_tokens_map.json, generation_config.json and config.json, their
/// keys `eos_token` (a text, or an object with `content`) and `eos_token_id`, each one value or a
/// list. The folder above counts too where the file is tokenizer/tokenizer.json. A token that the
/// tokenizer does not have is ignored. Throws Error(io, format) for a file that cannot be read.
std::vector<std::int32_t> find_ends_of_sequence(const TokenLookup& tokens,
                                                const std::filesystem::path& tokenizer_file);

}  // namespace bitaxon
