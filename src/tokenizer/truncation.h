// Makes a tokenizer.json with fewer tokens, for a model with a smaller vocabulary.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bitaxon/porting.h"

namespace bitaxon {

/// build_vocab_mapping() of the text of a tokenizer.json. `name` begins messages.
VocabIds choose_tokens(std::string_view json, std::string_view name, const VocabOptions& options);

/// truncated_tokenizer() of the text of a tokenizer.json. `name` begins messages.
std::string truncate_tokenizer(std::string_view json, std::string_view name, const VocabIds& ids,
                               TokenIds numbers);

/// The text of a tokenizer.json with the 256 tokens of single bytes as the first ids of
/// `vocab_size`, and with the tokens of chats as the last ids.
std::string byte_tokenizer_json(std::int32_t vocab_size);

}  // namespace bitaxon
