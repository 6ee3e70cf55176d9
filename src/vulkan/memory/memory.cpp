#include "vulkan/memory/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "bitaxon/error.h"
#include "core/align.h"
#include "core/assert.h"
#include "platform/counted_memory.h"
#include "platform/printable.h"
#include "vulkan/device/result.h"
#include "vulkan/device/structure.h"

namespace bitaxon::vulkan {

/// One allocation of device memory. `free_ranges` maps the offset of each free range to its size.
/// No two free ranges are adjacent.
struct Block {
  MemoryHandle memory;
  std::uint32_t type = 0;
  std::size_t size_bytes = 0;
  std::byte* mapped = nullptr;
  bool host_cached = false;
  std::map<std::size_t, std::size_t> free_ranges;
};

namespace {

constexpr std::size_t kBlockBytes = std::size_t{64} << 20;

/// The size of a new block for a buffer. A buffer that is larger than half a shared block gets a
/// block of its own.
std::size_t block_bytes_for(const DeviceCaps& caps, std::size_t size_bytes) {
  const std::size_t shared = shared_block_bytes(caps);
  return 2 * size_bytes > shared ? size_bytes : shared;
}

std::uint64_t largest_device_heap(const DeviceCaps& caps) {
  std::uint64_t largest = 0;
  for (const MemoryHeap& heap : caps.heaps)
    if (heap.device_local) largest = std::max(largest, heap.size_bytes);
  return largest;
}

/// How well a memory type suits a purpose. A higher score is better. Empty if the type cannot be
/// used for this purpose.
std::optional<int> score(const DeviceCaps& caps, const MemoryType& type, MemoryPurpose purpose) {
  const bool device = (type.flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
  // Only coherent memory counts as visible to the host, because this project never flushes mapped
  // memory.
  const bool host = (type.flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0 &&
                    (type.flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0;
  const bool cached = (type.flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
  switch (purpose) {
    case MemoryPurpose::weights:
    case MemoryPurpose::state:
    case MemoryPurpose::activations: {
      // If the heap is only a small window onto device memory, it is kept free for step buffers.
      const bool large = 2 * caps.heaps[type.heap].size_bytes >= largest_device_heap(caps);
      return 4 * static_cast<int>(device && large) + static_cast<int>(host && device && large);
    }
    case MemoryPurpose::step:
      if (!host) return std::nullopt;
      return static_cast<int>(device);
    case MemoryPurpose::staging:
      if (!host) return std::nullopt;
      return static_cast<int>(!device);
    case MemoryPurpose::readback:
      if (!host) return std::nullopt;
      return 2 * static_cast<int>(cached) + static_cast<int>(!device);
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(MemoryPurpose purpose) {
  constexpr std::string_view kNames[] = {"weights", "state",   "activations",
                                         "step",    "staging", "readback"};
  return kNames[static_cast<std::size_t>(purpose)];
}

std::int32_t choose_memory_type(const DeviceCaps& caps, MemoryPurpose purpose,
                                std::uint32_t allowed_types) {
  // Only protected queues may access PROTECTED memory. LAZILY_ALLOCATED memory is only for images
  // that are rendered to.
  constexpr VkMemoryPropertyFlags kUnusable =
      VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT;
  std::int32_t best = -1;
  int best_score = -1;
  for (std::size_t i = 0; i < caps.memory_types.size(); ++i) {
    const MemoryType& type = caps.memory_types[i];
    if ((allowed_types >> i & 1U) == 0 || (type.flags & kUnusable) != 0) continue;
    const std::optional<int> its_score = score(caps, type, purpose);
    if (!its_score || *its_score <= best_score) continue;
    best = static_cast<std::int32_t>(i);
    best_score = *its_score;
  }
  return best;
}

std::uint64_t shared_block_bytes(const DeviceCaps& caps) {
  return std::min<std::uint64_t>(kBlockBytes, caps.max_allocation_bytes);
}

std::uint64_t allocated_bytes(const DeviceCaps& caps, std::span<const std::uint64_t> sizes) {
  std::uint64_t total = 0;
  std::vector<std::uint64_t> room;  // the number of free bytes at the end of each block
  for (const std::uint64_t size : sizes) {
    const std::uint64_t bytes = align_up(std::max<std::uint64_t>(size, 1), kBufferAlignment);
    auto block = std::find_if(room.begin(), room.end(), [&](auto free) { return free >= bytes; });
    if (block == room.end()) {
      total += block_bytes_for(caps, bytes);
      block = room.insert(room.end(), block_bytes_for(caps, bytes));
    }
    *block -= bytes;
    if (*block == 0) room.erase(block);
  }
  return total;
}

DeviceBuffer::~DeviceBuffer() {
  if (allocator_ != nullptr) allocator_->give_back(*this);
}

MemoryAllocator::MemoryAllocator(const Device& device) : device_(device) {}

MemoryAllocator::~MemoryAllocator() = default;

std::shared_ptr<DeviceBuffer> MemoryAllocator::allocate(std::size_t size_bytes,
                                                        MemoryPurpose purpose, std::string label) {
  const DeviceCaps& caps = device_.caps();
  const Functions& fn = device_.fn();
  auto buffer = std::make_shared<DeviceBuffer>();
  buffer->size_bytes_ = align_up(std::max<std::size_t>(size_bytes, 1), kBufferAlignment);
  buffer->label_ = fmt::format("{}, {}", label, bytes_text(size_bytes));
  if (buffer->size_bytes_ > caps.max_buffer_bytes ||
      buffer->size_bytes_ > caps.max_allocation_bytes)
    throw Error(
        ErrorKind::device,
        fmt::format("vulkan: {}: expected at most {}, which is the largest buffer of {}; try "
                    "a smaller model or another device",
                    buffer->label_,
                    bytes_text(std::min(caps.max_buffer_bytes, caps.max_allocation_bytes)),
                    caps.name));

  auto info = structure<VkBufferCreateInfo>(VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO);
  info.size = buffer->size_bytes_;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
               VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
               VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
  VkBuffer handle = VK_NULL_HANDLE;
  check(fn.vkCreateBuffer(device_.handle(), &info, nullptr, &handle), "vkCreateBuffer",
        buffer->label_);
  buffer->buffer_ = BufferHandle(device_, handle);
  device_.set_name(VK_OBJECT_TYPE_BUFFER, reinterpret_cast<std::uint64_t>(handle), label);

  const VkBufferMemoryRequirementsInfo2 wanted{VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2,
                                               nullptr, handle};
  auto needed = structure<VkMemoryRequirements2>(VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2);
  fn.vkGetBufferMemoryRequirements2(device_.handle(), &wanted, &needed);
  const std::int32_t type =
      choose_memory_type(caps, purpose, needed.memoryRequirements.memoryTypeBits);
  if (type < 0)
    throw Error(ErrorKind::device, fmt::format("vulkan: {}: {} has no memory for {}",
                                               buffer->label_, caps.name, name_of(purpose)));
  const std::size_t alignment =
      std::max<std::size_t>(needed.memoryRequirements.alignment, kBufferAlignment);
  const std::size_t bytes = align_up(needed.memoryRequirements.size, alignment);
  std::size_t offset = 0;
  Block* block = find_room(static_cast<std::uint32_t>(type), bytes, alignment, offset);
  if (block == nullptr) {
    block =
        add_block(static_cast<std::uint32_t>(type), block_bytes_for(caps, bytes), buffer->label_);
    offset = 0;
  }
  // From here on, the destructor of the buffer gives the range back to the block.
  auto range = std::prev(block->free_ranges.upper_bound(offset));
  const auto [range_offset, range_size] = *range;
  block->free_ranges.erase(range);
  if (offset > range_offset) block->free_ranges[range_offset] = offset - range_offset;
  if (range_offset + range_size > offset + bytes)
    block->free_ranges[offset + bytes] = range_offset + range_size - offset - bytes;
  buffer->allocator_ = this;
  buffer->block_ = block;
  buffer->block_offset_ = offset;
  buffer->block_bytes_ = bytes;
  buffer->purpose_ = purpose;
  used_bytes_[static_cast<std::size_t>(purpose)] += bytes;
  count_backend_bytes(static_cast<std::int64_t>(bytes));
  peak_bytes_ = std::max(peak_bytes_,
                         std::accumulate(used_bytes_.begin(), used_bytes_.end(), std::size_t{0}));
  check(fn.vkBindBufferMemory(device_.handle(), handle, block->memory.get(), offset),
        "vkBindBufferMemory", buffer->label_);

  const VkBufferDeviceAddressInfo address{VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, nullptr,
                                          handle};
  buffer->address_ = fn.vkGetBufferDeviceAddress(device_.handle(), &address);
  if (block->mapped != nullptr) buffer->mapped_ = block->mapped + offset;
  buffer->host_cached_ = block->host_cached;
  return buffer;
}

Block* MemoryAllocator::find_room(std::uint32_t type, std::size_t size, std::size_t alignment,
                                  std::size_t& offset) {
  for (const auto& block : blocks_) {
    if (block->type != type) continue;
    for (const auto& [free_offset, free_size] : block->free_ranges) {
      const std::size_t aligned = align_up(free_offset, alignment);
      if (aligned + size > free_offset + free_size) continue;
      offset = aligned;
      return block.get();
    }
  }
  return nullptr;
}

std::string MemoryAllocator::describe_block(std::uint32_t type, std::size_t size,
                                            const std::string& label) const {
  const DeviceCaps& caps = device_.caps();
  const MemoryHeap heap = device_.heaps_now()[caps.memory_types[type].heap];
  std::size_t held = 0;
  for (const auto& block : blocks_) held += block->size_bytes;
  return fmt::format("{} for {}; {} are free, {} are held in {} allocations of at most {}",
                     bytes_text(size), label, bytes_text(heap.available_bytes), bytes_text(held),
                     blocks_.size(), caps.max_allocations);
}

Block* MemoryAllocator::add_block(std::uint32_t type, std::size_t size, const std::string& label) {
  const DeviceCaps& caps = device_.caps();
  auto block = std::make_unique<Block>();
  block->type = type;
  block->size_bytes = size;
  auto flags = structure<VkMemoryAllocateFlagsInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO);
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  auto info = structure<VkMemoryAllocateInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO);
  info.pNext = &flags;
  info.allocationSize = size;
  info.memoryTypeIndex = type;
  if (blocks_.size() >= caps.max_allocations)
    throw Error(ErrorKind::device,
                fmt::format("vulkan: {} for {}: expected at most {} allocations of memory, which "
                            "is the limit of {}; try a smaller model",
                            bytes_text(size), label, caps.max_allocations, caps.name));
  VkDeviceMemory memory = VK_NULL_HANDLE;
  const VkResult result = device_.fn().vkAllocateMemory(device_.handle(), &info, nullptr, &memory);
  if (result != VK_SUCCESS) check(result, "vkAllocateMemory", describe_block(type, size, label));
  block->memory = MemoryHandle(device_, memory);
  const VkMemoryPropertyFlags properties = caps.memory_types[type].flags;
  if ((properties & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0 &&
      (properties & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0) {
    void* mapped = nullptr;
    check(device_.fn().vkMapMemory(device_.handle(), memory, 0, VK_WHOLE_SIZE, 0, &mapped),
          "vkMapMemory", label);
    block->mapped = static_cast<std::byte*>(mapped);
    block->host_cached = (properties & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
  }
  block->free_ranges[0] = size;
  blocks_.push_back(std::move(block));
  return blocks_.back().get();
}

void MemoryAllocator::give_back(DeviceBuffer& buffer) noexcept {
  buffer.buffer_ = {};  // the VkBuffer must be destroyed before its memory
  used_bytes_[static_cast<std::size_t>(buffer.purpose_)] -= buffer.block_bytes_;
  count_backend_bytes(-static_cast<std::int64_t>(buffer.block_bytes_));
  Block& block = *buffer.block_;
  auto place = block.free_ranges.emplace(buffer.block_offset_, buffer.block_bytes_).first;
  const auto next = std::next(place);
  if (next != block.free_ranges.end() && place->first + place->second == next->first) {
    place->second += next->second;
    block.free_ranges.erase(next);
  }
  if (place != block.free_ranges.begin()) {
    const auto before = std::prev(place);
    if (before->first + before->second == place->first) {
      before->second += place->second;
      block.free_ranges.erase(place);
      place = before;
    }
  }
  if (place->second != block.size_bytes) return;
  std::erase_if(blocks_, [&](const auto& owned) { return owned.get() == &block; });
}

}  // namespace bitaxon::vulkan
