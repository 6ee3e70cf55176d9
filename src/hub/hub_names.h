// Names that come from a hub or from a user who names something on one: what they may be.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon::hub {

/// "owner/name" of the letters a hub allows.
bool is_repository(std::string_view name);
/// Lower-case hexadecimal digits, exactly so many.
bool is_hex(std::string_view text, std::size_t n_digits);
/// Why this is no path below a folder, one that means the same on every system: "an empty name",
/// "an absolute path", "a path with \"..\"" and so on; empty when it is.
std::string path_problem(std::string_view path);

}  // namespace bitaxon::hub
