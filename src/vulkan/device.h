// A VkDevice with its one queue.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vulkan/instance.h"

namespace bitaxon::vulkan {

/// Owns the device. Everything made on it is destroyed before it. The instance outlives it.
/// Enabled is what the floor asks for, and of DeviceCaps: subgroup size control, full subgroups,
/// float16 arithmetic, 16-bit storage, the memory model, matrix units, the memory budget.
class Device {
 public:
  /// Throws Error(unsupported) with what the device lacks of the floor, Error(device) when a call
  /// fails.
  Device(const Instance& instance, const Instance::PhysicalDevice& physical);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();

  const Functions& fn() const { return functions_; }
  const DeviceCaps& caps() const { return caps_; }
  VkDevice handle() const { return device_; }
  VkQueue queue() const { return queue_; }
  /// Free memory of each heap at this moment; DeviceCaps has that of the start.
  std::vector<MemoryHeap> heaps_now() const;

  /// Returns when nothing runs on the device any more, so that anything may be destroyed.
  void wait_idle() const noexcept;

  /// From here on the capabilities say that there are no matrix units.
  void forget_matrix_units() { caps_.matrix_shapes.clear(); }

  /// Names an object for validation messages and debuggers; nothing without VK_EXT_debug_utils.
  void set_name(VkObjectType type, std::uint64_t handle, const std::string& name) const noexcept;

 private:
  /// Owns nothing yet. The public constructor delegates to it, so that the destructor runs when it
  /// throws.
  Device(const Instance& instance, VkPhysicalDevice physical, const DeviceCaps& caps);
  void create();
  void load_functions();

  const Instance& instance_;
  VkPhysicalDevice physical_;
  DeviceCaps caps_;
  Functions functions_;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
};

}  // namespace bitaxon::vulkan
