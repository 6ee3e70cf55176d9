// Buffers in a few large allocations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vulkan/device/handle.h"

namespace bitaxon::vulkan {

/// What memory is used for. The purpose decides the memory type.
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

/// A buffer and its memory. Frees both. The allocator outlives the buffer.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer();

  VkBuffer handle() const { return buffer_.get(); }
  std::size_t size_bytes() const { return size_bytes_; }
  /// The address for shaders that read through addresses.
  VkDeviceAddress address() const { return address_; }
  /// The mapped memory; nullptr if the memory is not visible to the host.
  std::byte* mapped() const { return mapped_; }
  /// Whether reading `mapped` is as fast as reading other memory.
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
  std::size_t block_bytes_ = 0;  ///< size of the buffer's range in the block
};

/// Sub-allocates buffers from blocks of memory. Single-threaded.
class MemoryAllocator {
 public:
  explicit MemoryAllocator(const Device& device);
  MemoryAllocator(const MemoryAllocator&) = delete;
  MemoryAllocator& operator=(const MemoryAllocator&) = delete;
  ~MemoryAllocator();

  /// Throws Error(device) with the label, the size, and the limit or the free memory.
  std::shared_ptr<DeviceBuffer> allocate(std::size_t size_bytes, MemoryPurpose purpose,
                                         std::string label);

  /// Bytes of the live buffers of a purpose.
  std::size_t used_bytes(MemoryPurpose purpose) const {
    return used_bytes_[static_cast<std::size_t>(purpose)];
  }
  /// The largest total number of bytes of the buffers that were live at the same time.
  std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  friend class DeviceBuffer;
  Block* find_room(std::uint32_t type, std::size_t size, std::size_t alignment,
                   std::size_t& offset);
  Block* add_block(std::uint32_t type, std::size_t size, const std::string& label);
  /// Describes a block that could not be allocated.
  std::string describe_block(std::uint32_t type, std::size_t size, const std::string& label) const;
  void give_back(DeviceBuffer& buffer) noexcept;

  const Device& device_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::array<std::size_t, kMemoryPurposeCount> used_bytes_{};
  std::size_t peak_bytes_ = 0;
};

/// Bytes of the blocks that buffers of these sizes take when they are allocated in this order and
/// no memory is in use yet. Pure.
std::uint64_t allocated_bytes(const DeviceCaps& caps, std::span<const std::uint64_t> sizes);
/// Small buffers share blocks of this size.
std::uint64_t shared_block_bytes(const DeviceCaps& caps);

/// The memory type for a purpose, among the types in the bit mask `allowed_types`; -1 if there is
/// none. Pure.
std::int32_t choose_memory_type(const DeviceCaps& caps, MemoryPurpose purpose,
                                std::uint32_t allowed_types);

}  // namespace bitaxon::vulkan
