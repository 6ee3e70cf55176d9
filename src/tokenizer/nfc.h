// Unicode normalization form C.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon {

/// `text`, which must be valid UTF-8, in normalization form C (UAX #15). Time is n log n at worst.
std::string to_nfc(std::string_view text);

}  // namespace bitaxon
