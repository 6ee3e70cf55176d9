#include "platform/cpu_info.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

namespace bitaxon {
namespace {

/// The text after "key" and a colon in a /proc file; empty when there is none.
std::string proc_entry(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? std::string() : line.substr(begin);
  }
  return {};
}

/// Of an entry in kibibytes; 0 when there is none.
std::uint64_t proc_bytes(const char* file, const std::string& key) {
  std::istringstream in(proc_entry(file, key));
  std::uint64_t kibibytes = 0;
  in >> kibibytes;
  return kibibytes * 1024;
}

}  // namespace

std::string cpu_model_name() {
  const std::string name = proc_entry("/proc/cpuinfo", "model name");
  return name.empty() ? "CPU" : name;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::uint64_t available_memory_bytes() { return proc_bytes("/proc/meminfo", "MemAvailable"); }
std::uint64_t total_memory_bytes() { return proc_bytes("/proc/meminfo", "MemTotal"); }

std::uint64_t resident_bytes() { return proc_bytes("/proc/self/status", "VmRSS"); }

std::uint64_t peak_resident_bytes() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // in KiB on Linux
}

}  // namespace bitaxon
