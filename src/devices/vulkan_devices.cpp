#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "bitaxon/error.h"
#include "devices/factories.h"
#include "platform/host_memory.h"
#include "platform/paths.h"
#include "platform/printable.h"
#include "vulkan/description.h"
#include "vulkan/device/device_access.h"
#include "vulkan/device/device_choice.h"
#include "vulkan/device/instance.h"
#include "vulkan/drivers/drivers.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/vulkan_backend.h"

namespace bitaxon {
namespace {

using vulkan::DeviceCaps;

std::string yes_or_no(bool value) { return value ? "yes" : "no"; }

std::string sizes_text(const std::array<std::uint32_t, 3>& sizes) {
  return fmt::format("{}", fmt::join(sizes, " x "));
}

std::string subgroup_text(const DeviceCaps& caps) {
  if (caps.min_subgroup_size == caps.max_subgroup_size) return std::to_string(caps.subgroup_size);
  return fmt::format("{}, can be set from {} to {}", caps.subgroup_size, caps.min_subgroup_size,
                     caps.max_subgroup_size);
}

std::string matrix_text(const DeviceCaps& caps) {
  if (!caps.matrix_refusal.empty()) return "no; " + caps.matrix_refusal;
  std::vector<std::string> shapes;
  for (const vulkan::MatrixShape& shape : caps.matrix_shapes)
    shapes.push_back(fmt::format("{}x{}x{}", shape.m, shape.n, shape.k));
  return fmt::format("{}{}", shapes.empty() ? "no" : fmt::format("{}", fmt::join(shapes, ", ")),
                     vulkan::has_matrix_shaders() ? "" : "; this build lacks the shaders for them");
}

std::vector<DeviceProperty> limits_of(const DeviceCaps& caps) {
  return {{"subgroup size", subgroup_text(caps)},
          {"work group", fmt::format("{} invocations, {}", caps.max_group_invocations,
                                     sizes_text(caps.max_group_size))},
          {"work groups", sizes_text(caps.max_group_count)},
          {"shared memory", bytes_text(caps.max_shared_bytes)},
          {"push constants", bytes_text(caps.max_push_bytes)},
          {"storage buffers", std::to_string(caps.max_storage_buffers)},
          {"storage buffer range", bytes_text(caps.max_storage_buffer_bytes)},
          {"buffer size", bytes_text(caps.max_buffer_bytes)},
          {"allocation size", bytes_text(caps.max_allocation_bytes)},
          {"allocations", std::to_string(caps.max_allocations)}};
}

std::vector<DeviceProperty> features_of(const DeviceCaps& caps) {
  return {{"buffer addresses", yes_or_no(caps.buffer_device_address)},
          {"timeline semaphores", yes_or_no(caps.timeline_semaphore)},
          {"synchronization2", yes_or_no(caps.synchronization2)},
          {"scalar block layout", yes_or_no(caps.scalar_block_layout)},
          {"subgroup size control", yes_or_no(caps.subgroup_size_control)},
          {"full subgroups", yes_or_no(caps.full_subgroups)},
          {"matrix units", matrix_text(caps)},
          {"float16", yes_or_no(caps.shader_float16)},
          {"16-bit storage", yes_or_no(caps.storage_16bit)},
          {"integer dots", !caps.integer_dots       ? "no"
                           : caps.fast_integer_dots ? "yes"
                                                    : "yes, but not fast"},
          {"timestamps", yes_or_no(caps.timestamps)},
          {"memory budget", yes_or_no(caps.memory_budget)},
          {"portability subset", yes_or_no(caps.portability_subset)}};
}

/// Sets the memory sizes of a device: the sizes of its largest device-local heap. For a CPU-type
/// device the total is the system's memory.
void set_memory(const DeviceCaps& caps, DeviceInfo& info) {
  const auto is_smaller = [](const vulkan::MemoryHeap& a, const vulkan::MemoryHeap& b) {
    return std::pair(a.device_local, a.size_bytes) < std::pair(b.device_local, b.size_bytes);
  };
  const auto heap = std::max_element(caps.heaps.begin(), caps.heaps.end(), is_smaller);
  if (heap == caps.heaps.end()) return;
  info.memory_available_bytes = heap->available_bytes;
  info.memory_total_bytes =
      caps.type == vulkan::DeviceType::cpu ? total_memory_bytes() : heap->size_bytes;
}

std::string selector_of(const DeviceCaps& caps) { return fmt::format("vulkan:{}", caps.index); }

/// The text after the colon of a selector. Empty when the selector has no colon.
std::string device_part(const std::string& selector) {
  const std::size_t colon = selector.find(':');
  return colon == std::string::npos ? "" : selector.substr(colon + 1);
}

std::vector<DeviceCaps> caps_of(const vulkan::Instance& instance) {
  std::vector<DeviceCaps> caps;
  for (const auto& physical : instance.devices()) caps.push_back(physical.caps);
  return caps;
}

DeviceInfo info_of(const DeviceCaps& caps, const vulkan::DeviceVerdict& verdict) {
  DeviceInfo info;
  info.selector = selector_of(caps);
  info.name = caps.name;
  info.type = vulkan::name_of(caps.type);
  info.usable = verdict.usable;
  info.reason = verdict.reason;
  info.index = static_cast<int>(caps.index);
  info.api_version = vulkan::version_text(caps.api_version);
  set_memory(caps, info);
  info.description = vulkan::describe_device(caps);
  if (caps.api_version < VK_API_VERSION_1_2) return info;  // other properties were not queried
  info.driver = fmt::format("{} {}", caps.driver_name, caps.driver_info);
  info.uuid = vulkan::uuid_text(caps.device_uuid);
  info.pci_address = caps.pci_address;
  info.limits = limits_of(caps);
  info.features = features_of(caps);
  return info;
}

/// An entry in the list of devices for a rejected driver, so that the user sees why a GPU is
/// missing.
DeviceInfo info_of(const vulkan::RejectedDriver& driver) {
  DeviceInfo info;
  info.selector = "vulkan:" + driver.manifest.stem().string();
  info.name = "driver " + driver.manifest.filename().string();
  info.type = "driver";
  info.usable = false;
  info.reason = driver.problem;
  info.driver_manifest = driver.manifest.string();
  return info;
}

/// The folder of cached files. Empty for a user without a home directory.
std::filesystem::path cache_dir() {
  const std::filesystem::path folder = cache_folder();
  return folder.empty() ? folder : folder / "bit-axon";
}

vulkan::Drivers tried_drivers() { return vulkan::usable_drivers(cache_dir()); }

vulkan::Instance instance_of(const vulkan::Drivers& drivers) {
  return vulkan::Instance(nullptr, nullptr, vulkan::default_loader_names(), drivers);
}

/// Lists the devices of the drivers that can be loaded.
DeviceList usable_devices(const vulkan::Drivers& drivers) try {
  const vulkan::Instance instance = instance_of(drivers);
  const std::vector<DeviceCaps> caps = caps_of(instance);
  const vulkan::DeviceChoice choice = vulkan::choose_device(caps, "");
  DeviceList list;
  for (std::size_t i = 0; i < caps.size(); ++i) {
    list.devices.push_back(info_of(caps[i], choice.verdicts[i]));
    list.devices.back().chosen_by_auto = choice.chosen == i;
  }
  if (caps.empty())
    list.note = vulkan::with_access_problem(vulkan::problem_of(choice, caps, ""));
  else if (!choice.chosen)
    list.note = vulkan::access_problem();
  return list;
} catch (const Error& error) {
  return {{}, error.what(), ""};
}

/// Lists the Vulkan devices. The list has a note if there is no loader, no driver, or a driver that
/// fails.
DeviceList vulkan_devices() {
  const vulkan::Drivers drivers = tried_drivers();
  DeviceList list = usable_devices(drivers);
  const bool has_gpu = std::ranges::any_of(list.devices, &DeviceInfo::chosen_by_auto);
  // If no driver can be loaded, the note already says so.
  if (!has_gpu && drivers.problem.empty() && !drivers.rejected.empty())
    list.note = drivers.rejected_text() + (list.note.empty() ? "" : "; " + list.note);
  for (const vulkan::RejectedDriver& driver : drivers.rejected)
    list.devices.push_back(info_of(driver));
  list.warning = drivers.warning;
  return list;
}

std::string resolve_vulkan(const std::string& selector) try {
  const vulkan::Instance instance = instance_of(tried_drivers());
  const std::vector<DeviceCaps> caps = caps_of(instance);
  const vulkan::DeviceChoice choice = vulkan::choose_device(caps, device_part(selector));
  return choice.chosen ? selector_of(caps[*choice.chosen]) : selector;
} catch (const Error&) {
  return selector;
}

std::shared_ptr<Backend> open_vulkan(const std::string& selector, const OpenOptions& wanted) {
  vulkan::VulkanOptions options;
  options.selector = device_part(selector);
  options.shader_dir = wanted.shader_dir;
  options.tiles = wanted.tiles;
  options.cache_dir = cache_dir();
  options.drivers = tried_drivers();
  return vulkan::open_vulkan_backend(options);
}

}  // namespace

BackendFactory vulkan_factory() {
  return {.name = "vulkan",
          .selectors = {"vulkan[:SEL]"},
          .list = vulkan_devices,
          .resolve = resolve_vulkan,
          .open = open_vulkan};
}

}  // namespace bitaxon
