#include "platform/control_groups.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace bitaxon {
namespace {

using Parts = std::vector<std::string>;

Parts split(std::string_view text, char separator) {
  Parts parts;
  std::istringstream in{std::string(text)};
  for (std::string part; std::getline(in, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

bool contains(const Parts& parts, std::string_view part) {
  return std::ranges::find(parts, part) != parts.end();
}

/// Decodes the escapes in names from /proc, such as "\040" for a blank.
std::string unescaped(const std::string& text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_code = text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) &&
                         is_octal(text[i + 2]) && is_octal(text[i + 3]);
    out += is_code ? static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8)) : text[i];
    if (is_code) i += 3;
  }
  return out;
}

/// A mounted hierarchy of control groups.
struct Mount {
  std::string group;  ///< the mounted group, relative to the root of this namespace
  std::string folder;
  int version = 2;
  Parts controllers;  ///< version 1 only
};

/// One line of mountinfo: "36 35 98:0 GROUP FOLDER options [tags...] - TYPE source options"
std::optional<Mount> mount_of(const std::string& line) {
  const std::size_t middle = line.find(" - ");
  if (middle == std::string::npos) return std::nullopt;
  const Parts before = split(line.substr(0, middle), ' ');
  const Parts after = split(line.substr(middle + 3), ' ');
  if (before.size() < 5 || after.empty()) return std::nullopt;
  if (after[0] != "cgroup" && after[0] != "cgroup2") return std::nullopt;
  return Mount{unescaped(before[3]), unescaped(before[4]), after[0] == "cgroup2" ? 2 : 1,
               split(after.back(), ',')};
}

/// One line of /proc/self/cgroup: "4:memory:/PATH" of version 1, "0::/PATH" of version 2.
struct Membership {
  std::string path;  ///< may contain colons
  int version = 2;
  Parts controllers;
};

std::optional<Membership> membership_of(const std::string& line) {
  const std::size_t first = line.find(':');
  const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
  if (second == std::string::npos) return std::nullopt;
  const Parts controllers = split(line.substr(first + 1, second - first - 1), ',');
  return Membership{line.substr(second + 1), controllers.empty() ? 2 : 1, controllers};
}

template <class Item>
std::vector<Item> items_of(const std::filesystem::path& file,
                           std::optional<Item> (*parse)(const std::string& line)) {
  std::vector<Item> items;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (std::optional<Item> item = parse(line)) items.push_back(std::move(*item));
  return items;
}

/// The path from a mounted group down to `group`. Empty when `group` is not below the mounted
/// group. Both paths are relative to the root of this namespace, so both may begin with "..".
std::optional<Parts> way_down(const Parts& mounted, const Parts& group) {
  if (group.size() >= mounted.size() && std::equal(mounted.begin(), mounted.end(), group.begin())) {
    Parts way(group.begin() + std::ssize(mounted), group.end());
    if (!way.empty() && way.front() == "..") return std::nullopt;
    return way;
  }
  // The mounted group encloses the namespace, and therefore also `group`. The folders between the
  // two groups are not known.
  if (std::ranges::all_of(mounted, [](const std::string& part) { return part == ".."; }))
    return Parts();
  return std::nullopt;
}

void add_groups(const std::filesystem::path& mount, const Parts& way, int version,
                std::vector<ControlGroup>& groups) {
  for (auto end = way.size() + 1; end-- > 0;) {
    std::filesystem::path folder = mount;
    for (std::size_t i = 0; i < end; ++i) folder /= way[i];
    groups.push_back({folder, version, end == way.size()});
  }
}

}  // namespace

std::vector<ControlGroup> control_groups(std::string_view controller,
                                         const std::filesystem::path& root) {
  const auto mounts = items_of(root / "proc/self/mountinfo", mount_of);
  std::vector<ControlGroup> groups;
  for (const Membership& member : items_of(root / "proc/self/cgroup", membership_of)) {
    if (member.version == 1 && !contains(member.controllers, controller)) continue;
    for (const Mount& mount : mounts) {
      if (mount.version != member.version) continue;
      if (mount.version == 1 && !contains(mount.controllers, controller)) continue;
      const auto way = way_down(split(mount.group, '/'), split(member.path, '/'));
      const auto folder = root / std::filesystem::path(mount.folder).relative_path();
      if (way) add_groups(folder, *way, mount.version, groups);
    }
  }
  return groups;
}

}  // namespace bitaxon
