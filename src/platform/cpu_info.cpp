#include "platform/cpu_info.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <thread>

#include "platform/control_groups.h"
#include "platform/system_files.h"

namespace bitaxon {
namespace {

/// The cores that a group may use: its quota of CPU time divided by the period. Infinity without a
/// limit.
/// Source: Documentation/admin-guide/cgroup-v2.rst, cpu.max; scheduler/sched-bwc.rst.
double cores_of(const ControlGroup& group) {
  double quota = 0;
  double period = 0;
  if (group.version == 2) {
    std::ifstream in(group.folder / "cpu.max");  // "max 100000" means no quota and is no number
    in >> quota >> period;
  } else {
    quota = static_cast<double>(number_in(group.folder / "cpu.cfs_quota_us").value_or(0));
    period = static_cast<double>(number_in(group.folder / "cpu.cfs_period_us").value_or(0));
  }
  return quota > 0 && period > 0 ? quota / period : std::numeric_limits<double>::infinity();
}

}  // namespace

std::string cpu_model_name() {
  const std::string name = entry_of("/proc/cpuinfo", "model name");
  return name.empty() ? "CPU" : name;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
  // With more threads the group would use up its quota, and the kernel would then stop all threads
  // until the next period.
  return std::max(1,
                  static_cast<int>(std::min<double>(cores, std::ceil(cores_of_control_groups()))));
}

double cores_of_control_groups(const std::filesystem::path& root) {
  double cores = std::numeric_limits<double>::infinity();
  for (const ControlGroup& group : control_groups("cpu", root))
    cores = std::min(cores, cores_of(group));
  return cores;
}

}  // namespace bitaxon
