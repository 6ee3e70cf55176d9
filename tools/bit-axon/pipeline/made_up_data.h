// Examples of random letters, which try a pipeline without data.
#pragma once

#include <cstdint>
#include <string>

namespace bitaxon::tool {

/// JSONL with rows of `n_letters` random letters, as texts.
std::string made_up_texts(std::int64_t n_letters, std::uint64_t seed);
/// JSONL with pairs of answers of random letters.
std::string made_up_pairs(std::int64_t n_letters, std::uint64_t seed);

}  // namespace bitaxon::tool
