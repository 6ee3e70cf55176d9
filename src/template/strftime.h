// Times as text.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace bitaxon::jinja {

/// Python's datetime.strftime(format) of a local time without a zone, in the C locale.
std::string formatted_time(const std::string& format, const std::tm& time);

}  // namespace bitaxon::jinja
