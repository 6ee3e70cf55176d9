// The rules that every kind of generation follows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bitaxon/generate.h"

namespace bitaxon {

/// The ids that a prompt feeds to a state at `position`: at position 0, ModelSpec::beginning comes
/// first, unless the prompt begins with it. The prompt must not be empty.
std::vector<std::int32_t> fed_prompt(const ModelSpec& spec, std::int64_t position,
                                     std::span<const std::int32_t> prompt);

/// The ids that end an answer. `vocabulary` may be null.
std::vector<std::int32_t> ending_ids(const ModelSpec& spec, const Vocabulary* vocabulary,
                                     const GenerateOptions& options);

}  // namespace bitaxon
