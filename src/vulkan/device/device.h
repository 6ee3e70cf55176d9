// A VkDevice with its one queue.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vulkan/device/instance.h"

namespace bitaxon::vulkan {

/// Owns the device. All objects of the device are destroyed before it, and the instance outlives
/// it. The constructor enables the features that the floor requires. It also enables these features
/// if DeviceCaps has them: subgroup size control, full subgroups, float16 arithmetic, 16-bit
/// storage, the memory model, matrix units and the memory budget.
class Device {
 public:
  /// Throws Error(unsupported), which lists the requirements of the floor that the device lacks,
  /// and Error(device) when a call fails.
  Device(const Instance& instance, const Instance::PhysicalDevice& physical);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();

  const Functions& fn() const { return functions_; }
  const DeviceCaps& caps() const { return caps_; }
  VkDevice handle() const { return device_; }
  VkQueue queue() const { return queue_; }
  /// The heaps with their free memory at this moment. DeviceCaps has the values from the start.
  std::vector<MemoryHeap> heaps_now() const;

  /// Returns when the device is idle, so that any object may be destroyed.
  void wait_idle() const noexcept;

  /// Makes the capabilities report that the device has no matrix units.
  void forget_matrix_units() { caps_.matrix_shapes.clear(); }

  /// Names an object for validation messages and debuggers. Does nothing without
  /// VK_EXT_debug_utils.
  void set_name(VkObjectType type, std::uint64_t handle, const std::string& name) const noexcept;

 private:
  /// Owns nothing yet. The public constructor delegates to this one, so that the destructor runs
  /// when the public constructor throws.
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
