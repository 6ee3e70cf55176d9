// The normalization forms of Unicode (UAX #15).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bitaxon {

enum class NormalizationForm : std::uint8_t { nfc, nfd, nfkc, nfkd };

/// `text`, which must be valid UTF-8, in a normalization form. Characters that are newer than
/// Unicode 12 stay as they are, as in Hugging Face tokenizers. Takes O(n log n) time at worst.
std::string normalized(std::string_view text, NormalizationForm form);

}  // namespace bitaxon
