// The literals of the template language.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bitaxon::jinja {

/// The end of the float or the integer that begins at `at`; `at` itself if there is none.
std::size_t end_of_float(std::string_view text, std::size_t at);
std::size_t end_of_integer(std::string_view text, std::size_t at);
/// The contents of a string literal, with its escapes replaced. Throws Fault with the line.
std::string unescaped(std::string_view text, int line);

}  // namespace bitaxon::jinja
