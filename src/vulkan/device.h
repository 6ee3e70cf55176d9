// A VkDevice with its one queue.
#pragma once

#include <string>

#include "vulkan/instance.h"

namespace bitaxon::vulkan {

/// Owns the device. Everything made on it is destroyed before it. The instance outlives it.
class Device {
 public:
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

  /// Names an object for validation messages and debuggers; nothing without VK_EXT_debug_utils.
  void set_name(VkObjectType type, std::uint64_t handle, const std::string& name) const noexcept;

 private:
  const Instance& instance_;
  VkPhysicalDevice physical_;
  DeviceCaps caps_;
  Functions functions_;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
};

}  // namespace bitaxon::vulkan
