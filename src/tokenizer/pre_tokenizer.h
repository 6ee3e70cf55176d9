// Cuts text into pieces. Byte-pair encoding then works on one piece at a time.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "tokenizer/split_pattern.h"

namespace bitaxon {

/// The GPT-2 pattern, which a ByteLevel pre-tokenizer applies when `use_regex` is set.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Sequence[Split..., ByteLevel]: every pattern cuts the pieces of the previous pattern.
struct PreTokenizer {
  std::vector<SplitPattern> patterns;  ///< the patterns of the Splits
  std::vector<SplitPattern> gpt2;      ///< kGpt2Pattern; empty without `use_regex`
  bool add_prefix_space = false;       ///< starts each piece of the Splits with a space

  /// Calls `piece` with the pieces of `text` in order. Each piece is valid only during its call.
  void split(std::string_view text, const std::function<void(std::string_view)>& piece) const;
};

}  // namespace bitaxon
