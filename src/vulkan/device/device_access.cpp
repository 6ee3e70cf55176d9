#include "vulkan/device/device_access.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "platform/printable.h"

namespace bitaxon::vulkan {
namespace {

/// Whether a driver computes through this device node. Mesa's drivers use the renderD nodes,
/// NVIDIA's driver uses the nvidia nodes.
bool is_gpu_node(const std::filesystem::path& node) {
  const std::string name = node.filename().string();
  return name.starts_with("renderD") || name.starts_with("nvidia");
}

void add_nodes(const std::filesystem::path& folder, std::vector<std::filesystem::path>& nodes) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    if (is_gpu_node(it->path()) && !it->is_directory(ignored)) nodes.push_back(it->path());
  }
}

}  // namespace

std::vector<std::filesystem::path> gpu_nodes(const std::filesystem::path& dev) {
  std::vector<std::filesystem::path> nodes;
  add_nodes(dev / "dri", nodes);
  add_nodes(dev, nodes);
  std::ranges::sort(nodes);
  return nodes;
}

int try_node(const std::filesystem::path& node) {
  const int file = ::open(node.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return errno;
  ::close(file);
  return 0;
}

std::string access_problem(const std::filesystem::path& dev,
                           const std::function<int(const std::filesystem::path&)>& open) {
  for (const std::filesystem::path& node : gpu_nodes(dev)) {
    const int error = open(node);
    if (error == EACCES || error == EPERM)
      return fmt::format("{} may not be opened: is the user in the groups render and video?",
                         printable_path(node.string()));
  }
  return "";
}

std::string with_access_problem(std::string problem) {
  const std::string access = access_problem();
  return access.empty() ? problem : problem + "; " + access;
}

}  // namespace bitaxon::vulkan
