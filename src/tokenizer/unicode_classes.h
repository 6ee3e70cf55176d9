// Classes of characters, as Hugging Face tokenizers has them. Its parts use different versions of
// Unicode, so the classes are tables here and do not come from a library of the system.
#pragma once

namespace bitaxon {

/// Whether a character has the property White_Space: \s of a pattern, and the pre-tokenizer
/// WhitespaceSplit.
bool is_space(char32_t c);
/// Whether \w matches a character in Rust's regex: the pre-tokenizer Whitespace, and single_word of
/// an added token.
bool is_word(char32_t c);
/// Whether the pre-tokenizer Digits takes a character as a digit (Unicode 17).
bool is_digit(char32_t c);
/// Whether the pre-tokenizer Punctuation takes a character as punctuation (about Unicode 8).
bool is_punctuation(char32_t c);

}  // namespace bitaxon
