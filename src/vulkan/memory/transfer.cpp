#include "vulkan/memory/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/align.h"
#include "core/assert.h"
#include "vulkan/device/result.h"
#include "vulkan/device/structure.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::size_t kHalfBytes = std::size_t{16} << 20;

}  // namespace

SemaphoreHandle make_timeline(const Device& device, const char* label) {
  auto type = structure<VkSemaphoreTypeCreateInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO);
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  const VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
  VkSemaphore handle = VK_NULL_HANDLE;
  check(device.fn().vkCreateSemaphore(device.handle(), &info, nullptr, &handle),
        "vkCreateSemaphore", label);
  return {device, handle};
}

CommandPoolHandle make_resettable_pool(const Device& device, const char* label) {
  auto info = structure<VkCommandPoolCreateInfo>(VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO);
  info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  info.queueFamilyIndex = static_cast<std::uint32_t>(device.caps().compute_queue_family);
  VkCommandPool pool = VK_NULL_HANDLE;
  check(device.fn().vkCreateCommandPool(device.handle(), &info, nullptr, &pool),
        "vkCreateCommandPool", label);
  return {device, pool};
}

VkCommandBuffer allocate_commands(const Device& device, VkCommandPool pool, const char* label) {
  auto info =
      structure<VkCommandBufferAllocateInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO);
  info.commandPool = pool;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  check(device.fn().vkAllocateCommandBuffers(device.handle(), &info, &commands),
        "vkAllocateCommandBuffers", label);
  return commands;
}

void wait_before_copy(const Device& device, VkCommandBuffer commands) {
  auto memory = structure<VkMemoryBarrier2>(VK_STRUCTURE_TYPE_MEMORY_BARRIER_2);
  memory.srcStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_COPY_BIT;
  memory.srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;
  memory.dstStageMask = VK_PIPELINE_STAGE_2_COPY_BIT;
  memory.dstAccessMask = VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;
  auto dependency = structure<VkDependencyInfo>(VK_STRUCTURE_TYPE_DEPENDENCY_INFO);
  dependency.memoryBarrierCount = 1;
  dependency.pMemoryBarriers = &memory;
  device.fn().vkCmdPipelineBarrier2(commands, &dependency);
}

Transfer::Transfer(const Device& device, MemoryAllocator& memory, Failure& failure)
    : device_(device),
      memory_(memory),
      failure_(failure),
      done_(make_timeline(device, "transfers")) {
  pool_ = make_resettable_pool(device, "transfers");
  for (Half& half : halves_) half.commands = allocate_commands(device, pool_.get(), "transfers");
}

void Transfer::prepare(std::shared_ptr<DeviceBuffer>& staging, MemoryPurpose purpose) {
  if (staging == nullptr) staging = memory_.allocate(2 * kHalfBytes, purpose, "staging buffer");
}

/// Calls act(), which makes copies. If act() throws, waits for the device before rethrowing. Other
/// copies may still be in flight, and the caller frees their buffers.
template <class Act>
void Transfer::run(const Act& act) {
  try {
    failure_.watch(act);
  } catch (...) {
    device_.wait_idle();
    throw;
  }
}

void Transfer::submit_copy(Half& half, const DeviceBuffer& from, const DeviceBuffer& to,
                           const VkBufferCopy& region) {
  const Functions& fn = device_.fn();
  const std::string what = fmt::format("copy of {} to {}", from.label(), to.label());
  auto begin = structure<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check(fn.vkBeginCommandBuffer(half.commands, &begin), "vkBeginCommandBuffer", what);
  // There are two barriers. The first makes the copy wait for earlier steps and copies. The second
  // makes the result of the copy visible to the host.
  wait_before_copy(device_, half.commands);
  fn.vkCmdCopyBuffer(half.commands, from.handle(), to.handle(), 1, &region);
  auto memory = structure<VkMemoryBarrier2>(VK_STRUCTURE_TYPE_MEMORY_BARRIER_2);
  memory.srcStageMask = VK_PIPELINE_STAGE_2_COPY_BIT;
  memory.srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT;
  memory.dstStageMask = VK_PIPELINE_STAGE_2_HOST_BIT;
  memory.dstAccessMask = VK_ACCESS_2_HOST_READ_BIT;
  auto dependency = structure<VkDependencyInfo>(VK_STRUCTURE_TYPE_DEPENDENCY_INFO);
  dependency.memoryBarrierCount = 1;
  dependency.pMemoryBarriers = &memory;
  fn.vkCmdPipelineBarrier2(half.commands, &dependency);
  check(fn.vkEndCommandBuffer(half.commands), "vkEndCommandBuffer", what);

  auto commands =
      structure<VkCommandBufferSubmitInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO);
  commands.commandBuffer = half.commands;
  auto signal = structure<VkSemaphoreSubmitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO);
  signal.semaphore = done_.get();
  signal.value = submitted_ + 1;
  signal.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  auto submit = structure<VkSubmitInfo2>(VK_STRUCTURE_TYPE_SUBMIT_INFO_2);
  submit.commandBufferInfoCount = 1;
  submit.pCommandBufferInfos = &commands;
  submit.signalSemaphoreInfoCount = 1;
  submit.pSignalSemaphoreInfos = &signal;
  failure_.submitting(what);
  check(fn.vkQueueSubmit2(device_.queue(), 1, &submit, VK_NULL_HANDLE), "vkQueueSubmit2", what);
  half.busy_until = ++submitted_;
}

void Transfer::wait(const Half& half) {
  if (half.busy_until == 0) return;
  const VkSemaphore semaphore = done_.get();
  auto info = structure<VkSemaphoreWaitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO);
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore;
  info.pValues = &half.busy_until;
  check(device_.fn().vkWaitSemaphores(device_.handle(), &info, UINT64_MAX), "vkWaitSemaphores",
        "transfers");
}

void Transfer::upload(const DeviceBuffer& to, std::size_t offset, std::size_t size_bytes,
                      const FillBytes& fill) {
  BX_ASSERT(offset + size_bytes <= to.size_bytes(), "upload inside the buffer");
  if (to.mapped() != nullptr) {
    fill(0, {to.mapped() + offset, size_bytes});
    return;
  }
  prepare(up_, MemoryPurpose::staging);
  run([&] {
    for (std::size_t done = 0; done < size_bytes; done += kHalfBytes) {
      const std::size_t which = done / kHalfBytes % 2;
      const std::size_t n = std::min(kHalfBytes, size_bytes - done);
      wait(halves_[which]);
      fill(done, {up_->mapped() + which * kHalfBytes, n});
      submit_copy(halves_[which], *up_, to, {which * kHalfBytes, offset + done, n});
    }
    for (const Half& half : halves_) wait(half);
  });
}

void Transfer::download(const DeviceBuffer& from, std::size_t offset, std::span<std::byte> to) {
  BX_ASSERT(offset + to.size() <= from.size_bytes(), "download inside the buffer");
  if (to.empty()) return;
  if (from.mapped() != nullptr && from.host_cached()) {
    std::memcpy(to.data(), from.mapped() + offset, to.size());
    return;
  }
  prepare(down_, MemoryPurpose::readback);
  const std::size_t n_pieces = divide_up(to.size(), kHalfBytes);
  const auto size_of_piece = [&](std::size_t i) {
    return std::min(kHalfBytes, to.size() - i * kHalfBytes);
  };
  const auto start = [&](std::size_t i) {
    submit_copy(halves_[i % 2], from, *down_,
                {offset + i * kHalfBytes, i % 2 * kHalfBytes, size_of_piece(i)});
  };
  run([&] {
    start(0);
    for (std::size_t i = 0; i < n_pieces; ++i) {
      if (i + 1 < n_pieces) start(i + 1);
      wait(halves_[i % 2]);
      std::memcpy(to.data() + i * kHalfBytes, down_->mapped() + i % 2 * kHalfBytes,
                  size_of_piece(i));
    }
  });
}

void Transfer::copy(const DeviceBuffer& from, std::size_t from_offset, const DeviceBuffer& to,
                    std::size_t to_offset, std::size_t size_bytes) {
  BX_ASSERT(
      from_offset + size_bytes <= from.size_bytes() && to_offset + size_bytes <= to.size_bytes(),
      "copy inside the buffers");
  if (size_bytes == 0) return;
  run([&] {
    submit_copy(halves_[0], from, to, {from_offset, to_offset, size_bytes});
    wait(halves_[0]);
  });
}

}  // namespace bitaxon::vulkan
