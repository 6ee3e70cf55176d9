// Copies bytes between host and device. These copies are not part of a step.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "vulkan/device/failure.h"
#include "vulkan/memory/memory.h"

namespace bitaxon::vulkan {

/// A function that writes bytes [offset, offset + to.size()) of the data to upload into `to`.
using FillBytes = std::function<void(std::size_t offset, std::span<std::byte> to)>;

/// Copies bytes to and from buffers. If the host can map the memory of a buffer, copies directly.
/// Otherwise uses a staging buffer of two halves: the host fills one half while the device copies
/// the other half. When a call returns or throws, all of its copies have ended. A failed copy
/// counts as a failure of the device. A lack of memory for the staging buffer does not.
class Transfer {
 public:
  Transfer(const Device& device, MemoryAllocator& memory, Failure& failure);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Calls `fill` for consecutive pieces of the data. The offsets and sizes of all pieces are
  /// multiples of 16, except the size of the last piece.
  void upload(const DeviceBuffer& to, std::size_t offset, std::size_t size_bytes,
              const FillBytes& fill);
  void download(const DeviceBuffer& from, std::size_t offset, std::span<std::byte> to);
  void copy(const DeviceBuffer& from, std::size_t from_offset, const DeviceBuffer& to,
            std::size_t to_offset, std::size_t size_bytes);

 private:
  struct Half {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    std::uint64_t busy_until = 0;  ///< the half is free when done_ reaches this value
  };
  void prepare(std::shared_ptr<DeviceBuffer>& staging, MemoryPurpose purpose);
  template <class Act>
  void run(const Act& act);
  void submit_copy(Half& half, const DeviceBuffer& from, const DeviceBuffer& to,
                   const VkBufferCopy& region);
  void wait(const Half& half);

  const Device& device_;
  MemoryAllocator& memory_;
  Failure& failure_;
  std::shared_ptr<DeviceBuffer> up_, down_;  ///< staging buffers, allocated on first use
  CommandPoolHandle pool_;
  SemaphoreHandle done_;
  std::uint64_t submitted_ = 0;
  Half halves_[2];
};

/// Creates a timeline semaphore with the value 0.
SemaphoreHandle make_timeline(const Device& device, const char* label);
/// Creates a pool whose command buffers can be recorded again.
CommandPoolHandle make_resettable_pool(const Device& device, const char* label);
VkCommandBuffer allocate_commands(const Device& device, VkCommandPool pool, const char* label);
/// Records a barrier that makes copies wait for all earlier shaders and copies.
void wait_before_copy(const Device& device, VkCommandBuffer commands);

}  // namespace bitaxon::vulkan
