// Unicode normalization form C.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon {

/// `text`, which must be valid UTF-8, in normalization form C (UAX #15). Takes O(n log n) time at
/// worst.
std::string to_nfc(std::string_view text);

}  // namespace bitaxon
