// A VkDevice and the single queue that is used.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vulkan/device/instance.h"

namespace bitaxon::vulkan {

/// Owns the VkDevice. All objects of the device must be destroyed before the device, and the
/// instance must outlive the device. The constructor enables the features that the floor requires.
/// It also enables these optional features if DeviceCaps reports them: subgroup size control, full
/// subgroups, float16 arithmetic, 16-bit storage, the memory model, matrix units and the memory
/// budget.
class Device {
 public:
  /// Throws Error(unsupported) if the device lacks requirements of the floor; the message lists
  /// them. Throws Error(device) when a call fails.
  Device(const Instance& instance, const Instance::PhysicalDevice& physical);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();

  const Functions& fn() const { return functions_; }
  const DeviceCaps& caps() const { return caps_; }
  VkDevice handle() const { return device_; }
  VkQueue queue() const { return queue_; }
  /// The heaps with the memory that is free at this moment. The heaps in DeviceCaps have the memory
  /// that was free when the device was queried.
  std::vector<MemoryHeap> heaps_now() const;

  /// Waits until the device is idle. Afterwards the caller may destroy any object of the device.
  void wait_idle() const noexcept;

  /// Changes caps(): from then on, the device counts as one without matrix units.
  void forget_matrix_units() { caps_.matrix_shapes.clear(); }
  void set_tiles(std::uint32_t matrix_tile, bool float16_tiles) {
    caps_.matrix_tile = matrix_tile;
    caps_.float16_tiles = float16_tiles;
  }
  void forget_packed_halves() { caps_.packed_halves = caps_.float16_tiles = false; }
  void set_few_rows(bool integer_dots, bool mixed_products) {
    caps_.fast_integer_dots = integer_dots;
    caps_.mixed_products = mixed_products;
  }

  /// Names an object for validation messages and debuggers. Does nothing without
  /// VK_EXT_debug_utils.
  void set_name(VkObjectType type, std::uint64_t handle, const std::string& name) const noexcept;

 private:
  /// Creates no Vulkan object. The public constructor delegates to this constructor, so that the
  /// destructor runs when the public constructor throws.
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
