// Checks whether this user may open the GPUs of this machine. If a driver is not allowed to open a
// GPU, it does not list the GPU and does not say why.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace bitaxon::vulkan {

/// The device nodes of GPUs in the folder `dev`, sorted.
std::vector<std::filesystem::path> gpu_nodes(const std::filesystem::path& dev = "/dev");

/// Opens a device node for reading and writing and closes it again. Returns 0 if the node can be
/// opened, else errno.
int try_node(const std::filesystem::path& node);

/// A text that names the first device node that this user may not open, and says what to try. Empty
/// if there is no such node.
std::string access_problem(
    const std::filesystem::path& dev = "/dev",
    const std::function<int(const std::filesystem::path& node)>& open = try_node);

/// Returns `problem`. Appends "; " and the text of access_problem() if this text is not empty.
std::string with_access_problem(std::string problem);

}  // namespace bitaxon::vulkan
