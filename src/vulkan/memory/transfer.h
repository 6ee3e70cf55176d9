// Moves bytes between host and device outside of steps.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "vulkan/device/failure.h"
#include "vulkan/memory/memory.h"

namespace bitaxon::vulkan {

/// Writes bytes [offset, offset + to.size()) of the data to upload.
using FillBytes = std::function<void(std::size_t offset, std::span<std::byte> to)>;

/// Writes directly to memory that the host can map. Other memory is reached through a staging
/// buffer of two halves: one half is filled while the other half is copied. When a call returns or
/// throws, none of its copies is in flight. A failed copy counts as a failure of the device; a lack
/// of memory for the staging buffer does not.
class Transfer {
 public:
  Transfer(const Device& device, MemoryAllocator& memory, Failure& failure);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Offsets and sizes passed to `fill` are multiples of 16. Only the size of the last call may
  /// differ.
  void upload(const DeviceBuffer& to, std::size_t offset, std::size_t size_bytes,
              const FillBytes& fill);
  void download(const DeviceBuffer& from, std::size_t offset, std::span<std::byte> to);
  void copy(const DeviceBuffer& from, std::size_t from_offset, const DeviceBuffer& to,
            std::size_t to_offset, std::size_t size_bytes);

 private:
  struct Half {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    std::uint64_t busy_until = 0;  ///< the value of done_ when the half is free again
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
  std::shared_ptr<DeviceBuffer> up_, down_;  ///< allocated on first use
  CommandPoolHandle pool_;
  SemaphoreHandle done_;
  std::uint64_t submitted_ = 0;
  Half halves_[2];
};

/// A timeline semaphore that starts at 0.
SemaphoreHandle make_timeline(const Device& device, const char* label);

}  // namespace bitaxon::vulkan
