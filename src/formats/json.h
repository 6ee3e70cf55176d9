// Parses untrusted JSON: limited size and depth, no duplicate keys, valid UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "formats/json_fwd.h"

namespace bitaxon {

struct JsonLimits {
  std::size_t max_bytes = std::size_t{64} << 20;
  int max_depth = 32;
};

/// The limits for a config.json.
inline constexpr JsonLimits kConfigLimits = {.max_bytes = std::size_t{1} << 20, .max_depth = 16};

/// Parses `text`. `name`, such as the name of a file or a tensor, begins every message. Throws
/// Error(format) for text that exceeds the limits, is not UTF-8 or is not JSON. If the text is not
/// JSON, the message names the byte. Throws Error(format) also for a number beyond the range of
/// double, and for a key that appears twice in one object. Accepts a leading byte-order mark.
/// Objects keep the order of the text. The lookup of a key takes linear time, so iterate over large
/// objects instead.
Json parse_json(std::string_view text, std::string_view name, const JsonLimits& limits = {});

/// `text` without the byte-order mark that some editors add at the start. Parsers skip the mark.
/// Code that looks at the first character of JSON must call this function first.
std::string_view without_byte_order_mark(std::string_view text);

/// `value` as printable text on one line, for a message. Text beyond `max_bytes` is cut ("...").
std::string printable_json(const Json& value, std::size_t max_bytes = 60);

/// The value, if it is a whole number of 64 bits. Some programs write whole numbers as 1.0. Such a
/// number counts up to 2^53.
std::optional<std::int64_t> whole_number(const Json& value);

/// `value` as JSON. Infinity and NaN become null, because JSON has no such numbers.
Json finite_or_null(double value);

}  // namespace bitaxon
