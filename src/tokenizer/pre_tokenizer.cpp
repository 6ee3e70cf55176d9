#include "tokenizer/pre_tokenizer.h"

#include <span>
#include <string>

namespace bitaxon {

namespace {

using Sink = std::function<void(std::string_view)>;

void apply(std::span<const SplitPattern> patterns, std::string_view text, const Sink& piece) {
  if (patterns.empty()) return piece(text);
  const auto rest = patterns.subspan(1);
  if (rest.empty()) return patterns.front().split(text, piece);
  patterns.front().split(text, [&](std::string_view part) { apply(rest, part, piece); });
}

}  // namespace

void PreTokenizer::split(std::string_view text, const Sink& piece) const {
  if (!add_prefix_space && gpt2.empty()) return apply(patterns, text, piece);
  apply(patterns, text, [&](std::string_view part) {
    if (add_prefix_space && !part.starts_with(' ')) {
      std::string prefixed(1, ' ');
      prefixed += part;
      apply(gpt2, prefixed, piece);
    } else {
      apply(gpt2, part, piece);
    }
  });
}

}  // namespace bitaxon
