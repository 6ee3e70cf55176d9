#include "bitaxon/devices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bitaxon/error.h"
#ifdef BITAXON_WITH_CPU
#include "cpu/cpu_backend.h"
#include "platform/cpu_info.h"
#endif

#ifdef BITAXON_WITH_VULKAN
#include "platform/paths.h"
#include "vulkan/vulkan_backend.h"
#endif

namespace bitaxon {
namespace {

constexpr const char* kSelectors = "auto, cpu, reference or vulkan[:SEL]";

bool is_cpu(const std::string& selector) { return selector == "cpu" || selector == "reference"; }

bool is_vulkan(const std::string& selector) {
  return selector == "vulkan" || selector.rfind("vulkan:", 0) == 0;
}

/// What this file knows of a backend.
struct BuiltBackend {
  std::vector<std::string> names;
  bool (*takes)(const std::string& selector);
  std::vector<DeviceInfo> (*devices)();
  std::unique_ptr<Backend> (*open)(const std::string& selector, int n_threads);
};

#ifdef BITAXON_WITH_CPU
std::vector<DeviceInfo> cpu_devices() {
  DeviceInfo cpu;
  cpu.selector = "cpu";
  cpu.name = cpu_model_name();
  cpu.type = "cpu";
  cpu.memory_total_bytes = total_memory_bytes();
  cpu.memory_available_bytes = available_memory_bytes();
  cpu.n_threads = usable_cores();
  cpu.chosen_by_auto = true;
  cpu.reason = "this build has no GPU backend";
  DeviceInfo reference = cpu;
  reference.selector = "reference";
  reference.n_threads = 1;
  reference.chosen_by_auto = false;
  reference.reason =
      "plain float64 kernels that other devices are checked against; only when named";
  return {cpu, reference};
}

std::unique_ptr<Backend> open_cpu(const std::string& selector, int n_threads) {
  return cpu::open_cpu_backend({.n_threads = n_threads, .reference = selector == "reference"});
}
#endif

#ifdef BITAXON_WITH_VULKAN
std::unique_ptr<Backend> open_vulkan(const std::string& selector, int) {
  vulkan::VulkanOptions options;
  if (selector != "vulkan") options.selector = selector.substr(std::string_view("vulkan:").size());
  options.cache_dir = cache_folder() / "bit-axon";
  return vulkan::open_vulkan_backend(options);
}
#endif

/// Those that were not left out of this build.
std::vector<BuiltBackend> backends() {
  return {
#ifdef BITAXON_WITH_CPU
      {{"cpu", "reference"}, is_cpu, cpu_devices, open_cpu},
#endif
#ifdef BITAXON_WITH_VULKAN
      {{"vulkan[:SEL]"}, is_vulkan, [] { return std::vector<DeviceInfo>(); }, open_vulkan},
#endif
  };
}

std::unique_ptr<Backend> open_named(const std::string& selector, int n_threads) {
  for (const BuiltBackend& backend : backends())
    if (backend.takes(selector)) return backend.open(selector, n_threads);
  throw Error(
      ErrorKind::unsupported,
      fmt::format("device {}: this build has no {} backend; it has {}", selector,
                  is_vulkan(selector) ? "Vulkan" : "CPU", fmt::join(built_backends(), ", ")));
}

}  // namespace

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices;
  for (const BuiltBackend& backend : backends())
    for (DeviceInfo& device : backend.devices()) devices.push_back(std::move(device));
  return devices;
}

std::vector<std::string> built_backends() {
  std::vector<std::string> names;
  for (const BuiltBackend& backend : backends())
    names.insert(names.end(), backend.names.begin(), backend.names.end());
  return names;
}

std::optional<std::string> selector_problem(const std::string& selector) {
  if (selector == "auto" || is_cpu(selector) || is_vulkan(selector)) return std::nullopt;
  return fmt::format("expected {}, got \"{}\"", kSelectors, selector);
}

OpenedDevice open_device(const std::string& selector, int n_threads) {
  if (const auto problem = selector_problem(selector))
    throw Error(ErrorKind::invalid_argument, "device: " + *problem);
  if (selector != "auto") return {open_named(selector, n_threads), ""};
  for (const DeviceInfo& device : list_devices())
    if (device.chosen_by_auto) return {open_named(device.selector, n_threads), device.reason};
  throw Error(ErrorKind::unsupported,
              fmt::format("device auto: no device of this machine can be used; this build has {}",
                          fmt::join(built_backends(), ", ")));
}

}  // namespace bitaxon
