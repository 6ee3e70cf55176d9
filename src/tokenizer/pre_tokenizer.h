// Cuts text into the pieces that byte-pair encoding works on, one at a time.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "tokenizer/split_pattern.h"

namespace bitaxon {

/// The GPT-2 pattern, which a ByteLevel pre-tokenizer applies when `use_regex` is set.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Sequence[Split..., ByteLevel]: every pattern cuts the pieces of the one before it.
struct PreTokenizer {
  std::vector<SplitPattern> patterns;  ///< those of the Splits
  std::vector<SplitPattern> gpt2;      ///< one, or none without `use_regex`
  bool add_prefix_space = false;       ///< to every piece the Splits leave that has none

  /// Gives `piece` the pieces of `text` in order. They live until the call returns.
  void split(std::string_view text, const std::function<void(std::string_view)>& piece) const;
};

}  // namespace bitaxon
