// Whether this user may open the GPUs of this machine. A driver that may not open a GPU does not
// list it and does not say why.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace bitaxon::vulkan {

/// The device nodes of GPUs, sorted.
std::vector<std::filesystem::path> gpu_nodes(const std::filesystem::path& dev = "/dev");

/// Opens a device node for reading and writing and closes it. Returns 0, or errno.
int try_node(const std::filesystem::path& node);

/// Names the first node that may not be opened and says what to try; empty when every node opens.
std::string access_problem(
    const std::filesystem::path& dev = "/dev",
    const std::function<int(const std::filesystem::path& node)>& open = try_node);

/// Returns "PROBLEM; ACCESS PROBLEM", or only PROBLEM if every node opens.
std::string with_access_problem(std::string problem);

}  // namespace bitaxon::vulkan
