#include "id_list.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "bitaxon/error.h"
#include "bitaxon/step_limits.h"
#include "console.h"
#include "formats/json.h"
#include "platform/file.h"
#include "platform/printable.h"

namespace bitaxon::tool {

std::vector<std::int32_t> parse_ids(const std::string& flag, const std::string& text) {
  const auto trimmed = [](std::string_view part) {
    constexpr const char* kSpace = " \t\r\n";
    const std::size_t begin = part.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) return std::string_view();
    return part.substr(begin, part.find_last_not_of(kSpace) - begin + 1);
  };
  std::string_view rest = trimmed(text);
  if (rest.size() >= 2 && rest.front() == '[' && rest.back() == ']')
    rest = trimmed(rest.substr(1, rest.size() - 2));
  std::vector<std::int32_t> ids;
  while (!rest.empty() || !ids.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = trimmed(rest.substr(0, comma));
    std::int32_t id = 0;
    const auto result = std::from_chars(item.data(), item.data() + item.size(), id);
    if (result.ec != std::errc() || result.ptr != item.data() + item.size() || id < 0)
      throw UsageError(
          fmt::format("{}: expected whole numbers >= 0 separated by commas, got \"{}\"", flag,
                      printable(item, 40)));
    ids.push_back(id);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (ids.empty())
    throw UsageError(fmt::format("{}: expected at least one token id, got none", flag));
  return ids;
}

std::vector<std::int32_t> read_ids_file(const std::filesystem::path& path) {
  const std::string name = printable_path(path.string());
  const Json list = parse_json(read_whole_file(path, std::uint64_t{64} << 20), name);
  if (!list.is_array())
    throw Error(ErrorKind::format, fmt::format("{}: expected a JSON list of token ids, got {}",
                                               name, list.type_name()));
  std::vector<std::int32_t> ids;
  for (const Json& item : list) {
    const bool whole = item.is_number_unsigned() && item.get<std::uint64_t>() <= INT32_MAX;
    if (!whole)
      throw Error(ErrorKind::format,
                  fmt::format("{}: item {}: expected a whole number from 0 to {}, got {}", name,
                              ids.size(), INT32_MAX, printable_json(item, 40)));
    ids.push_back(item.get<std::int32_t>());
  }
  return ids;
}

std::vector<std::int32_t> read_ids(const std::string& ids, const std::string& ids_file) {
  if (!ids.empty()) return parse_ids("--ids", ids);
  std::vector<std::int32_t> found = read_ids_file(ids_file);
  if (found.empty())
    throw Error(ErrorKind::format,
                printable_path(ids_file) + ": expected at least one token id, got none");
  return found;
}

std::vector<std::size_t> parse_split(const std::string& split, std::size_t n_ids) {
  std::vector<std::int32_t> sizes;
  if (split.empty())
    sizes.push_back(static_cast<std::int32_t>(n_ids));
  else
    sizes = parse_ids("--split", split);
  std::vector<std::size_t> pieces;
  std::size_t total = 0;
  for (std::int32_t size : sizes) {
    if (size == 0) throw UsageError("--split: expected pieces of at least one token, got 0");
    total += static_cast<std::size_t>(size);
    for (std::int32_t left = size; left > 0; left -= kMaxRows)
      pieces.push_back(static_cast<std::size_t>(std::min(left, kMaxRows)));
    if (total > n_ids) break;
  }
  if (total != n_ids)
    throw UsageError(fmt::format("--split: expected pieces that add up to {} tokens, got {} {}",
                                 n_ids, total > n_ids ? "at least" : "only", total));
  return pieces;
}

std::string ids_text(const std::vector<std::int32_t>& ids) {
  return fmt::format("[{}]", fmt::join(ids, ", "));
}

}  // namespace bitaxon::tool
