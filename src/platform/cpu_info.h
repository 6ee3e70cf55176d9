// What the processor is and how much of it this process may use.
#pragma once

#include <filesystem>
#include <string>

namespace bitaxon {

/// "AMD EPYC ..." as the system tells it, else "CPU".
std::string cpu_model_name();
/// Cores this process may use (its affinity, and the time its control groups give it), at least 1.
int usable_cores();
/// How many cores' time the control groups give this process; infinity: no limit. `root` holds the
/// system's files.
double cores_of_control_groups(const std::filesystem::path& root = "/");

}  // namespace bitaxon
