#include "platform/cpu_info.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
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

double number_in(const std::string& file) {
  std::ifstream in(file);
  double number = 0;
  in >> number;
  return in ? number : -1;
}

/// How many cores' time a control group gets, as containers are given it; infinity: all.
/// Source: Documentation/admin-guide/cgroup-v2.rst, cpu.max; scheduler/sched-bwc.rst.
double cores_of_group(const std::string& folder) {
  constexpr double kAll = std::numeric_limits<double>::infinity();
  std::ifstream in(folder + "/cpu.max");
  double quota = -1;
  double period = -1;
  if (!(in >> quota >> period)) {  // "max", or the first version's files
    quota = number_in(folder + "/cpu.cfs_quota_us");
    period = number_in(folder + "/cpu.cfs_period_us");
  }
  return quota > 0 && period > 0 ? quota / period : kAll;
}

/// Of the group of this process and those above it.
double cores_of_groups() {
  double cores = cores_of_group("/sys/fs/cgroup/cpu");
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("0::/", 0) == 0)
      for (std::string path = line.substr(3); !path.empty(); path.resize(path.rfind('/')))
        cores = std::min(cores, cores_of_group("/sys/fs/cgroup" + path));
  return cores;
}

}  // namespace

std::string cpu_model_name() {
  const std::string name = proc_entry("/proc/cpuinfo", "model name");
  return name.empty() ? "CPU" : name;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
  // More threads than that would be stopped together, for as long as they ran too much.
  return std::max(1, static_cast<int>(std::min<double>(cores, std::ceil(cores_of_groups()))));
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
