// The processor's name, and how many of its cores this process may use.
#pragma once

#include <filesystem>
#include <string>

namespace bitaxon {

/// The name that the system reports ("AMD EPYC ..."), else "CPU".
std::string cpu_model_name();
/// Cores that this process may use, at least 1. Counts its affinity and the limits of its control
/// groups.
int usable_cores();
/// CPU time that the control groups allow this process, in cores; infinity: no limit. `root` is the
/// root of the system's files.
double cores_of_control_groups(const std::filesystem::path& root = "/");

}  // namespace bitaxon
