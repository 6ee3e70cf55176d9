// The processor's name, and how many of its cores this process may use.
#pragma once

#include <filesystem>
#include <string>

namespace bitaxon {

/// The name that the system reports ("AMD EPYC ..."), else "CPU".
std::string cpu_model_name();
/// The number of cores that this process may use, at least 1. The CPU affinity and the control
/// groups of the process limit the number.
int usable_cores();
/// The CPU time that the control groups allow this process, in cores. Infinity without a limit.
/// `root` is the root of the system's files.
double cores_of_control_groups(const std::filesystem::path& root = "/");

}  // namespace bitaxon
