// The pre-tokenizers of tokenizer.json: they cut a text into pieces. Byte-pair encoding then works
// on one piece at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tokenizer/split_pattern.h"

namespace bitaxon {

/// The GPT-2 pattern, which a ByteLevel pre-tokenizer applies when `use_regex` is set.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// What becomes of a match.
enum class MatchBehavior : std::uint8_t {
  removed,               ///< it is in no piece
  isolated,              ///< it is a piece
  merged_with_previous,  ///< it ends the piece on its left, unless that is a match
  merged_with_next,      ///< it begins the piece on its right, unless that is a match
  contiguous,            ///< adjacent matches are one piece
};

/// Cuts a text at the matches of a pattern, or at the characters of a class. Split, Punctuation,
/// Digits, CharDelimiterSplit and WhitespaceSplit are of this form.
struct Cut {
  using CharacterClass = bool (*)(char32_t);
  std::variant<SplitPattern, CharacterClass> matcher;
  MatchBehavior behavior = MatchBehavior::isolated;
  bool inverted = false;  ///< the text between the matches counts as the matches
};

/// Whitespace: runs of word characters, and runs of other characters, without the white space.
struct CutWords {};

/// ByteLevel: cuts by the GPT-2 pattern and spells the bytes of each piece, see spelling_of().
struct ByteLevel {
  bool adds_space = false;  ///< starts a piece with a space unless it has one
  std::optional<SplitPattern> pattern;
};

/// Metaspace: writes a sign for each space, and may cut in front of the signs.
struct Metaspace {
  enum class Prepend : std::uint8_t { never, first, always };
  std::string sign;                   ///< one character
  Prepend prepend = Prepend::always;  ///< which texts begin with a sign, even without a space
  std::optional<SplitPattern> cut;    ///< matches the sign; empty: no cuts
};

/// A list of steps. Each step cuts the pieces of the previous step. Without steps, the whole text
/// is one piece.
struct PreTokenizer {
  using Step = std::variant<Cut, CutWords, ByteLevel, Metaspace>;
  using Sink = std::function<void(std::string_view)>;
  std::vector<Step> steps;

  /// Calls `piece` with the pieces of `text` in order, none of them empty. Each piece is valid only
  /// during its call. `at_start` says whether the tokenizer's whole input begins here.
  void split(std::string_view text, bool at_start, const Sink& piece) const;
};

}  // namespace bitaxon
