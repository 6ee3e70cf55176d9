// The normalizers of tokenizer.json: they change a text before it is cut into pieces.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tokenizer/normalization_form.h"
#include "tokenizer/split_pattern.h"

namespace bitaxon {

/// Replaces every match by a text. It is a normalizer and a decoder.
struct Replace {
  SplitPattern pattern;
  std::string content;
  /// Sets `keeps_start` to false if the first character of `text` is lost.
  std::string apply(std::string_view text, bool& keeps_start) const;
};

/// Writes a text in front of every text that is not empty.
struct Prepend {
  std::string text;
};

/// Removes white space at the ends.
struct StripSpace {
  bool left = true, right = true;
};

/// Spells bytes as characters, see spelling_of().
struct SpellBytes {};

/// A list of steps. Without steps it changes nothing.
struct Normalizer {
  using Step = std::variant<NormalizationForm, Replace, Prepend, StripSpace, SpellBytes>;
  std::vector<Step> steps;

  /// The normalized `text`, which must be valid UTF-8. Sets `keeps_start` to false if the first
  /// character of `text` is lost.
  std::string apply(std::string_view text, bool& keeps_start) const;
};

}  // namespace bitaxon
