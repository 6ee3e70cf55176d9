// JSON from strangers: bounded in size and depth, no duplicate keys, valid UTF-8.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

namespace bitaxon {

using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t max_bytes = std::size_t{64} << 20;
  int max_depth = 32;
};

/// Parses `text`. `name` (a file's name, a tensor's name) begins every message.
/// Throws Error(format): larger or deeper than the limits, not JSON (with the byte), not UTF-8, a
/// number beyond double, a key twice in one object. A leading byte order mark is accepted.
/// Objects keep the order of the text, and looking a key up in one is linear: iterate large ones.
Json parse_json(std::string_view text, std::string_view name, const JsonLimits& limits = {});

/// `text` after the byte order mark that some editors put first. Parsers skip the mark; whoever
/// looks at the first character of JSON skips it with this.
std::string_view without_byte_order_mark(std::string_view text);

/// What JSON has no number for becomes null.
Json finite_or_null(double value);

}  // namespace bitaxon
