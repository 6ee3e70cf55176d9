#include "vulkan/run/copy_queue.h"

#include <utility>

#include "vulkan/device/result.h"
#include "vulkan/device/structure.h"
#include "vulkan/run/hazard_tracker.h"

namespace bitaxon::vulkan {
namespace {

MemoryAccess access_of(const Buffer& buffer, std::size_t offset, std::size_t size, Access how) {
  return {reinterpret_cast<std::uint64_t>(device_buffer(buffer).handle()), offset, size, how};
}

}  // namespace

void CopyQueue::make_now(Transfer& transfer) {
  for (const BufferCopy& copy : std::exchange(queued_, {}))
    transfer.copy(device_buffer(copy.from), copy.from_offset, device_buffer(copy.to),
                  copy.to_offset, copy.size_bytes);
}

void CopyQueue::record(std::uint64_t number, std::vector<VkCommandBuffer>& commands) {
  if (queued_.empty()) return;
  Batch& batch = batch_of(number);
  if (!pool_) pool_ = make_resettable_pool(device_, "copies");
  if (batch.commands == VK_NULL_HANDLE)
    batch.commands = allocate_commands(device_, pool_.get(), "copies");
  batch.copies = std::exchange(queued_, {});
  const Functions& fn = device_.fn();
  auto begin = structure<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check(fn.vkBeginCommandBuffer(batch.commands, &begin), "vkBeginCommandBuffer", "copies");
  wait_before_copy(device_, batch.commands);
  HazardTracker hazards;
  for (const BufferCopy& copy : batch.copies) {
    const MemoryAccess accesses[] = {
        access_of(copy.from, copy.from_offset, copy.size_bytes, Access::read),
        access_of(copy.to, copy.to_offset, copy.size_bytes, Access::write)};
    if (hazards.needs_barrier(accesses)) wait_before_copy(device_, batch.commands);
    const VkBufferCopy region{copy.from_offset, copy.to_offset, copy.size_bytes};
    fn.vkCmdCopyBuffer(batch.commands, device_buffer(copy.from).handle(),
                       device_buffer(copy.to).handle(), 1, &region);
  }
  // The commands of a step begin with a barrier, so none follows the copies.
  check(fn.vkEndCommandBuffer(batch.commands), "vkEndCommandBuffer", "copies");
  commands.insert(commands.begin(), batch.commands);
}

}  // namespace bitaxon::vulkan
