// Checks of names that come from a hub, or that a user gives for something on a hub.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon::hub {

/// Whether `name` is "owner/name" in the characters that a hub allows.
bool is_repository(std::string_view name);
/// Whether `text` is exactly n_digits lower-case hexadecimal digits.
bool is_hex(std::string_view text, std::size_t n_digits);
/// Why `path` is not a relative path that stays below its folder and means the same on every
/// system: "an empty name", "an absolute path", "a path with \"..\"" and so on. Empty when `path`
/// is valid.
std::string path_problem(std::string_view path);

}  // namespace bitaxon::hub
