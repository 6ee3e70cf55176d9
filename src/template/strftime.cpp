#include "template/strftime.h"

#include <fmt/format.h>
#include <locale.h>
#include <time.h>

#include <algorithm>

#include "template/limits.h"

namespace bitaxon::jinja {
namespace {

/// The C locale, whatever locale the program has.
locale_t c_locale() {
  static const locale_t locale = newlocale(LC_ALL_MASK, "C", nullptr);
  return locale;
}

/// The text of one directive, such as %d or %-5d.
std::string directive_text(const std::string& directive, const std::tm& time) {
  // Python's times have no zone, and microseconds that C does not know.
  switch (directive.back()) {
    case 'z':
    case 'Z':
      return "";
    case 'f':
      return "000000";
    default:
      break;
  }
  char buffer[256];
  // The space tells an empty text from one that does not fit.
  const std::string format = directive + " ";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const std::size_t size = strftime_l(buffer, sizeof buffer, format.c_str(), &time, c_locale());
#pragma GCC diagnostic pop
  if (size == 0) throw Fault("a directive of strftime_now is too long");
  return std::string(buffer, size - 1);
}

}  // namespace

std::string formatted_time(const std::string& format, const std::tm& time) {
  if (format.find('\0') != std::string::npos) throw Fault("embedded null character");
  std::string result;
  for (std::size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      result += format[at++];
      continue;
    }
    const std::size_t begin = at++;
    at = std::min(format.find_first_not_of("_-0^#", at), format.size());
    at = std::min(format.find_first_not_of("0123456789", at), format.size());
    if (at < format.size() && (format[at] == 'E' || format[at] == 'O')) ++at;
    if (at == format.size()) {
      result += format.substr(begin);
      break;
    }
    ++at;
    count_steps(16);
    expect_room(result.size());
    result += directive_text(format.substr(begin, at - begin), time);
  }
  return result;
}

}  // namespace bitaxon::jinja
