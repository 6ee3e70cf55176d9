// The control groups of this process, through which containers and services are limited.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace bitaxon {

/// A control group that holds this process.
struct ControlGroup {
  std::filesystem::path folder;  ///< where its files are
  int version = 2;               ///< 1 or 2: of the interface, which names the files
  bool is_own = true;            ///< false: a group that encloses the process's own
};

/// The groups in which a controller ("memory", "cpu") may limit this process: its own, and those
/// that enclose it as far as they are mounted here. Some may lack the controller's files. `root`
/// holds the system's files.
/// Source: cgroups(7), cgroup_namespaces(7), proc(5).
std::vector<ControlGroup> control_groups(std::string_view controller,
                                         const std::filesystem::path& root = "/");

}  // namespace bitaxon
