#include "platform/host_memory.h"

#include <sys/resource.h>

#include <algorithm>

#include "platform/control_groups.h"
#include "platform/system_files.h"

namespace bitaxon {
namespace {

using Bytes = std::optional<std::uint64_t>;

Bytes least(Bytes a, Bytes b) {
  if (!a) return b;
  return b ? std::min(*a, *b) : a;
}

/// Removes values that mean "no limit". Version 1 writes a huge number for "no limit".
Bytes limit_of(Bytes bytes) {
  constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 62;
  return bytes && *bytes < kNoLimit ? bytes : std::nullopt;
}

/// The value in bytes of an entry that is in kibibytes.
Bytes kibibytes_of(const std::filesystem::path& file, std::string_view key) {
  const Bytes kibibytes = number_of(file, key);
  return kibibytes ? Bytes(*kibibytes * 1024) : std::nullopt;
}

/// The names of a memory controller's files, and of entries in memory.stat.
struct GroupFiles {
  const char* limit;
  const char* soft_limit;  ///< above this usage the kernel slows the group almost to a stop
  const char* usage;
  std::string_view inactive_file, active_file;
  std::string_view limit_of_all;  ///< least limit of all groups, also of groups not visible here
};
constexpr GroupFiles kVersion1 = {"memory.limit_in_bytes", nullptr,
                                  "memory.usage_in_bytes", "total_inactive_file",
                                  "total_active_file",     "hierarchical_memory_limit"};
constexpr GroupFiles kVersion2 = {"memory.max",    "memory.high", "memory.current",
                                  "inactive_file", "active_file", ""};

/// The bytes that a group still allows. Empty when the group has no limit.
/// Source: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst.
Bytes left_in(const ControlGroup& group) {
  const GroupFiles& files = group.version == 1 ? kVersion1 : kVersion2;
  const auto stat = group.folder / "memory.stat";
  // Without memory.use_hierarchy a group of version 1 does not count the usage of its subgroups.
  if (group.version == 1 && !group.is_own &&
      number_in(group.folder / "memory.use_hierarchy") == std::uint64_t{0})
    return std::nullopt;
  Bytes limit = number_in(group.folder / files.limit);
  if (files.soft_limit != nullptr) limit = least(limit, number_in(group.folder / files.soft_limit));
  if (!files.limit_of_all.empty()) limit = least(limit, number_of(stat, files.limit_of_all));
  limit = limit_of(limit);
  if (!limit) return std::nullopt;
  const std::uint64_t usage = number_in(group.folder / files.usage).value_or(0);
  const std::uint64_t page_cache = number_of(stat, files.inactive_file).value_or(0) +
                                   number_of(stat, files.active_file).value_or(0);
  const std::uint64_t held = usage - std::min(usage, page_cache);
  return *limit - std::min(*limit, held);
}

/// The bytes that a limit of the process still allows; empty when there is no such limit.
Bytes left_of_limit(const std::filesystem::path& process, std::string_view limit,
                    std::string_view used) {
  const Bytes bytes = limit_of(number_of(process / "limits", limit));
  if (!bytes) return std::nullopt;
  return *bytes - std::min(*bytes, kibibytes_of(process / "status", used).value_or(0));
}

}  // namespace

Bytes available_memory_bytes(const std::filesystem::path& root) {
  Bytes available = kibibytes_of(root / "proc/meminfo", "MemAvailable");
  for (const ControlGroup& group : control_groups("memory", root))
    available = least(available, left_in(group));
  const auto process = root / "proc/self";
  available = least(available, left_of_limit(process, "Max address space", "VmSize"));
  return least(available, left_of_limit(process, "Max data size", "VmData"));
}

std::uint64_t total_memory_bytes() { return kibibytes_of("/proc/meminfo", "MemTotal").value_or(0); }

std::uint64_t resident_bytes() { return kibibytes_of("/proc/self/status", "VmRSS").value_or(0); }

std::uint64_t peak_resident_bytes() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // in KiB on Linux
}

}  // namespace bitaxon
