// The control groups (cgroups) of this process. They limit containers and services.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace bitaxon {

/// A control group that holds this process.
struct ControlGroup {
  std::filesystem::path folder;  ///< holds the files of the group
  int version = 2;               ///< version of the interface, 1 or 2; it determines the file names
  bool is_own = true;            ///< false for a group that encloses the group of the process
};

/// The groups in which a controller ("memory", "cpu") may limit this process: the group of the
/// process, and the mounted groups that enclose it. Some groups may lack the controller's files.
/// `root` is the root of the system's files.
/// Source: cgroups(7), cgroup_namespaces(7), proc(5).
std::vector<ControlGroup> control_groups(std::string_view controller,
                                         const std::filesystem::path& root = "/");

}  // namespace bitaxon
