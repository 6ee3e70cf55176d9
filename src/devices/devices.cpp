#include "bitaxon/devices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bitaxon/error.h"
#ifdef BITAXON_WITH_CPU
#include "cpu/cpu_backend.h"
#include "platform/cpu_info.h"
#include "platform/host_memory.h"
#include "platform/printable.h"
#endif
#ifdef BITAXON_WITH_VULKAN
#include "devices/vulkan_devices.h"
#endif

namespace bitaxon {
namespace {

constexpr const char* kSelectors = "auto, cpu, reference or vulkan[:SEL]";

bool is_cpu(const std::string& selector) { return selector == "cpu" || selector == "reference"; }

bool is_vulkan(const std::string& selector) {
  constexpr std::string_view kPrefix = "vulkan:";
  return selector == "vulkan" ||
         (selector.starts_with(kPrefix) &&
          selector.find_first_not_of(" \t", kPrefix.size()) != std::string::npos);
}

/// A backend of this build, as functions that work on its devices.
struct BuiltBackend {
  std::vector<std::string> names;
  bool (*takes)(const std::string& selector);
  DeviceList (*devices)();
  std::string (*resolve)(const std::string& selector);
  std::unique_ptr<Backend> (*open)(const std::string& selector, const OpenOptions& options);
};

#ifdef BITAXON_WITH_CPU
DeviceList cpu_devices() {
  DeviceInfo cpu;
  cpu.selector = "cpu";
  cpu.name = cpu_model_name();
  cpu.type = "cpu";
  cpu.memory_total_bytes = total_memory_bytes();
  cpu.memory_available_bytes = available_memory_bytes().value_or(0);
  cpu.n_threads = usable_cores();
  cpu.memory = cpu::cpu_memory({.n_threads = cpu.n_threads, .reference = false});
  DeviceInfo reference = cpu;
  cpu.instruction_set = cpu::instruction_set({.n_threads = cpu.n_threads, .reference = false});
  reference.selector = "reference";
  reference.n_threads = 1;
  reference.memory = cpu::cpu_memory({.n_threads = 1, .reference = true});
  reference.reason =
      "plain float64 kernels that other devices are checked against; used only when named";
  return {{cpu, reference}, "", ""};
}

std::string resolve_cpu(const std::string& selector) { return selector; }

std::unique_ptr<Backend> open_cpu(const std::string& selector, const OpenOptions& options) {
  if (!options.shader_dir.empty())
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("device {} has no shaders to replace by those in {}; name a Vulkan device",
                    selector, printable_path(options.shader_dir.string())));
  return cpu::open_cpu_backend(
      {.n_threads = options.n_threads, .reference = selector == "reference"});
}
#endif

/// The backends of this build.
std::vector<BuiltBackend> backends() {
  return {
#ifdef BITAXON_WITH_CPU
      {{"cpu", "reference"}, is_cpu, cpu_devices, resolve_cpu, open_cpu},
#endif
#ifdef BITAXON_WITH_VULKAN
      {{"vulkan[:SEL]"}, is_vulkan, vulkan_devices, resolve_vulkan, open_vulkan},
#endif
  };
}

std::unique_ptr<Backend> open_named(const std::string& selector, const OpenOptions& options) {
  for (const BuiltBackend& backend : backends())
    if (backend.takes(selector)) return backend.open(selector, options);
  throw Error(
      ErrorKind::unsupported,
      fmt::format("device {}: this build has no {} backend; it has {}", selector,
                  is_vulkan(selector) ? "Vulkan" : "CPU", fmt::join(built_backends(), ", ")));
}

/// Lets "auto" choose the CPU when no other backend has a device for "auto".
void settle_auto(DeviceList& list) {
  const auto is_chosen = [](const DeviceInfo& device) { return device.chosen_by_auto; };
  const auto gpu = std::find_if(list.devices.begin(), list.devices.end(), is_chosen);
  for (DeviceInfo& device : list.devices) {
    if (device.selector != "cpu") continue;
    device.chosen_by_auto = gpu == list.devices.end();
    if (!device.chosen_by_auto)
      device.reason = fmt::format("{} is preferred: it is a GPU", gpu->selector);
    else
      device.reason = list.note.empty() ? "no GPU that can be used" : list.note;
  }
}

}  // namespace

DeviceList find_devices() {
  DeviceList all;
  for (const BuiltBackend& backend : backends()) {
    DeviceList some = backend.devices();
    for (DeviceInfo& device : some.devices) all.devices.push_back(std::move(device));
    if (!some.note.empty()) all.note = some.note;
    if (!some.warning.empty()) all.warning = some.warning;
  }
#ifndef BITAXON_WITH_VULKAN
  all.note = "this build has no GPU backend";
#endif
  settle_auto(all);
  return all;
}

std::vector<DeviceInfo> list_devices() { return find_devices().devices; }

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

std::string resolve_device(const std::string& selector) {
  if (selector == "auto")
    for (const DeviceInfo& device : list_devices())
      if (device.chosen_by_auto) return device.selector;
  for (const BuiltBackend& backend : backends())
    if (backend.takes(selector)) return backend.resolve(selector);
  return selector;
}

OpenedDevice open_device(const std::string& selector, const OpenOptions& options) {
  if (const auto problem = selector_problem(selector))
    throw Error(ErrorKind::invalid_argument, "device: " + *problem);
  if (selector != "auto") return {open_named(selector, options), ""};
  const DeviceList list = find_devices();
  for (const DeviceInfo& device : list.devices)
    if (device.chosen_by_auto)
      return {open_named(device.selector, options),
              list.warning.empty() ? device.reason
                                   : fmt::format("{}; warning: {}", device.reason, list.warning)};
  throw Error(
      ErrorKind::unsupported,
      fmt::format("device auto: no device of this machine can be used{}{}; this build has {}",
                  list.note.empty() ? "" : ": ", list.note, fmt::join(built_backends(), ", ")));
}

}  // namespace bitaxon
