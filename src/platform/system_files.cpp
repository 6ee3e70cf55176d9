#include "platform/system_files.h"

#include <charconv>
#include <fstream>

namespace bitaxon {
namespace {

std::optional<std::uint64_t> leading_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string entry_of(const std::filesystem::path& file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t end = line.find_first_not_of(" \t", key.size());
    if (end == std::string::npos) continue;
    // `key` is only the beginning of this line's key.
    if (end == key.size() && line[end] != ':') continue;
    const std::size_t begin = line.find_first_not_of(": \t", end);
    if (begin != std::string::npos) return line.substr(begin);
  }
  return {};
}

std::optional<std::uint64_t> number_of(const std::filesystem::path& file, std::string_view key) {
  return leading_number(entry_of(file, key));
}

std::optional<std::uint64_t> number_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string word;
  return in >> word ? leading_number(word) : std::nullopt;
}

}  // namespace bitaxon
