// Places buffers in a few large allocations of device memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/backend.h"
#include "vulkan/device/handle.h"

namespace bitaxon::vulkan {

/// The purpose for which memory is used. The purpose decides the memory type.
enum class MemoryPurpose : std::uint8_t {
  weights,      ///< written once, read by the device
  state,        ///< read and written by the device
  activations,  ///< read and written by the device
  step,         ///< written by the host before a step, read by the device once
  staging,      ///< written by the host, copied by the device
  readback,     ///< written by the device, read by the host
};
inline constexpr int kMemoryPurposeCount = 6;
std::string_view name_of(MemoryPurpose purpose);

class MemoryAllocator;
struct Block;

/// Owns a buffer and the memory of the buffer. The allocator must outlive the buffer.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer();

  VkBuffer handle() const { return buffer_.get(); }
  std::size_t size_bytes() const { return size_bytes_; }
  /// The device address of the buffer, for shaders that read through addresses.
  VkDeviceAddress address() const { return address_; }
  /// The memory as mapped into this process; nullptr if the memory is not visible to the host.
  std::byte* mapped() const { return mapped_; }
  /// Whether the host can read the mapped memory as fast as normal memory.
  bool host_cached() const { return host_cached_; }
  const std::string& label() const { return label_; }

 private:
  friend class MemoryAllocator;
  MemoryAllocator* allocator_ = nullptr;
  BufferHandle buffer_;
  std::size_t size_bytes_ = 0;
  VkDeviceAddress address_ = 0;
  std::byte* mapped_ = nullptr;
  bool host_cached_ = false;
  std::string label_;
  MemoryPurpose purpose_ = MemoryPurpose::weights;
  Block* block_ = nullptr;
  std::size_t block_offset_ = 0;
  std::size_t block_bytes_ = 0;  ///< the size of the buffer's range in the block
};

/// The memory of a buffer of this backend.
inline DeviceBuffer& device_buffer(const Buffer& buffer) {
  return *static_cast<DeviceBuffer*>(buffer.memory.get());
}

/// Allocates large blocks of memory and places buffers in them. May be used by one thread only.
class MemoryAllocator {
 public:
  explicit MemoryAllocator(const Device& device);
  MemoryAllocator(const MemoryAllocator&) = delete;
  MemoryAllocator& operator=(const MemoryAllocator&) = delete;
  ~MemoryAllocator();

  /// Allocates a buffer. Throws Error(device) if this fails. The message contains the label, the
  /// size, and either the exceeded limit or the free memory.
  std::shared_ptr<DeviceBuffer> allocate(std::size_t size_bytes, MemoryPurpose purpose,
                                         std::string label);

  /// The total size in bytes of the live buffers of one purpose.
  std::size_t used_bytes(MemoryPurpose purpose) const {
    return used_bytes_[static_cast<std::size_t>(purpose)];
  }
  /// The largest total size in bytes of buffers that were live at the same time.
  std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  friend class DeviceBuffer;
  Block* find_room(std::uint32_t type, std::size_t size, std::size_t alignment,
                   std::size_t& offset);
  Block* add_block(std::uint32_t type, std::size_t size, const std::string& label);
  /// The part of an error message that describes a block that could not be allocated.
  std::string describe_block(std::uint32_t type, std::size_t size, const std::string& label) const;
  void give_back(DeviceBuffer& buffer) noexcept;

  const Device& device_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::array<std::size_t, kMemoryPurposeCount> used_bytes_{};
  std::size_t peak_bytes_ = 0;
};

/// The total size in bytes of the blocks that are needed for buffers of these sizes, allocated in
/// this order by a new allocator.
std::uint64_t allocated_bytes(const DeviceCaps& caps, std::span<const std::uint64_t> sizes);
/// The size in bytes of a block that small buffers share.
std::uint64_t shared_block_bytes(const DeviceCaps& caps);

/// The index of the best memory type for a purpose, among the types in the bit mask
/// `allowed_types`. -1 if none of these types can be used.
std::int32_t choose_memory_type(const DeviceCaps& caps, MemoryPurpose purpose,
                                std::uint32_t allowed_types);

}  // namespace bitaxon::vulkan
