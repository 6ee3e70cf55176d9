#include "hub_cache/hub_names.h"

#include <algorithm>

#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

/// The limits of common file systems.
constexpr std::size_t kMaxComponentBytes = 255;
constexpr std::size_t kMaxPathBytes = 1024;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string component_problem(std::string_view component) {
  if (component.empty()) return "a path with an empty part";
  if (component == "." || component == "..")
    return "a path with \"" + std::string(component) + "\"";
  if (component.size() > kMaxComponentBytes) return "a part longer than 255 bytes";
  return {};
}

}  // namespace

bool is_repository(std::string_view name) {
  constexpr std::size_t kMaxBytes = 192;  // the hub's limit is 96 for each of the two names
  const std::size_t slash = name.find('/');
  if (slash == name.npos || slash == 0 || slash + 1 == name.size() || name.size() > kMaxBytes)
    return false;
  if (name.find('/', slash + 1) != name.npos || name.front() == '.' || name[slash + 1] == '.' ||
      name.find("..") != name.npos)
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.' || c == '/';
  });
}

bool is_hex(std::string_view text, std::size_t n_digits) {
  return text.size() == n_digits && std::all_of(text.begin(), text.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'f');
         });
}

std::string path_problem(std::string_view path) {
  if (path.empty()) return "an empty name";
  if (path.front() == '/') return "an absolute path";
  if (path.size() > kMaxPathBytes) return "a path longer than 1024 bytes";
  if (path.find('\\') != path.npos) return "a path with a backslash";
  // Names are printed, by other programs too. A control character could drive the user's terminal
  // or make one name look like another.
  if (printable(path, kMaxPathBytes) != path) return "a control character";
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (std::string problem = component_problem(path.substr(begin, end - begin)); !problem.empty())
      return problem;
    begin = end + 1;
  }
  return {};
}

}  // namespace bitaxon::hub
