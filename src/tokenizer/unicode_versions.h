// Makes libraries with another version of Unicode agree with Hugging Face tokenizers.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon {

/// A character with the general category that patterns of tokenizers see in `c` (Unicode 16), and
/// with as many bytes in UTF-8. It is `c` itself, unless versions 14 to 18 of Unicode disagree about
/// `c`.
char32_t stand_in(char32_t c);

/// The text with the stand_in() of each character. Empty if all characters stand for themselves.
/// The positions of bytes stay the same.
std::string with_stand_ins(std::string_view text);

/// Whether normalization does not know `c` (Unicode 12): it neither decomposes, composes nor moves.
/// True only for characters that a later version of Unicode treats otherwise.
bool is_unknown_to_normalization(char32_t c);

}  // namespace bitaxon
