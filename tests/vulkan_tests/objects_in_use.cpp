#include "objects_in_use.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace bitaxon::vulkan::test {
namespace {

using Objects = std::set<std::uint64_t>;

template <class Handle>
std::uint64_t number_of(Handle handle) {
  return reinterpret_cast<std::uint64_t>(handle);
}

/// A submission that the device may still be executing.
struct Submission {
  VkSemaphore semaphore = VK_NULL_HANDLE;  ///< reaches `value` when the device has finished
  std::uint64_t value = 0;
  Objects objects;
};

Functions real;
std::vector<Submission> submissions;
std::map<VkCommandBuffer, VkCommandPool> pools;
std::map<VkCommandBuffer, Objects> used_by;
/// The buffers bound in a set, and the pool of the set.
std::map<VkDescriptorSet, Objects> bound_in;
std::map<std::uint64_t, VkDeviceMemory> memory_of;

void expect_unused(std::uint64_t object, const char* call) {
  for (const Submission& submission : submissions)
    EXPECT_EQ(submission.objects.count(object), 0u)
        << call << ": still used by the submission that signals " << submission.value;
}

void add_buffer(Objects& objects, VkBuffer buffer) {
  objects.insert(number_of(buffer));
  objects.insert(number_of(memory_of[number_of(buffer)]));
}

void done_up_to(VkSemaphore semaphore, std::uint64_t value) {
  std::erase_if(submissions, [&](const Submission& submission) {
    return submission.semaphore == semaphore && submission.value <= value;
  });
}

VKAPI_ATTR VkResult VKAPI_CALL bind_memory(VkDevice device, VkBuffer buffer, VkDeviceMemory memory,
                                           VkDeviceSize offset) {
  memory_of[number_of(buffer)] = memory;
  return real.vkBindBufferMemory(device, buffer, memory, offset);
}

VKAPI_ATTR VkResult VKAPI_CALL allocate_sets(VkDevice device,
                                             const VkDescriptorSetAllocateInfo* info,
                                             VkDescriptorSet* sets) {
  const VkResult result = real.vkAllocateDescriptorSets(device, info, sets);
  for (std::uint32_t i = 0; result == VK_SUCCESS && i < info->descriptorSetCount; ++i)
    bound_in[sets[i]] = {number_of(info->descriptorPool)};
  return result;
}

VKAPI_ATTR void VKAPI_CALL update_sets(VkDevice device, std::uint32_t n,
                                       const VkWriteDescriptorSet* writes, std::uint32_t n_copies,
                                       const VkCopyDescriptorSet* copies) {
  for (std::uint32_t i = 0; i < n; ++i)
    add_buffer(bound_in[writes[i].dstSet], writes[i].pBufferInfo->buffer);
  real.vkUpdateDescriptorSets(device, n, writes, n_copies, copies);
}

VKAPI_ATTR VkResult VKAPI_CALL allocate_commands(VkDevice device,
                                                 const VkCommandBufferAllocateInfo* info,
                                                 VkCommandBuffer* commands) {
  const VkResult result = real.vkAllocateCommandBuffers(device, info, commands);
  for (std::uint32_t i = 0; result == VK_SUCCESS && i < info->commandBufferCount; ++i)
    pools[commands[i]] = info->commandPool;
  return result;
}

VKAPI_ATTR VkResult VKAPI_CALL begin(VkCommandBuffer commands,
                                     const VkCommandBufferBeginInfo* info) {
  expect_unused(number_of(commands), "vkBeginCommandBuffer");
  used_by[commands] = {number_of(commands), number_of(pools[commands])};
  return real.vkBeginCommandBuffer(commands, info);
}

VKAPI_ATTR void VKAPI_CALL bind_pipeline(VkCommandBuffer commands, VkPipelineBindPoint point,
                                         VkPipeline pipeline) {
  used_by[commands].insert(number_of(pipeline));
  real.vkCmdBindPipeline(commands, point, pipeline);
}

VKAPI_ATTR void VKAPI_CALL bind_sets(VkCommandBuffer commands, VkPipelineBindPoint point,
                                     VkPipelineLayout layout, std::uint32_t first, std::uint32_t n,
                                     const VkDescriptorSet* sets, std::uint32_t n_offsets,
                                     const std::uint32_t* offsets) {
  for (std::uint32_t i = 0; i < n; ++i)
    used_by[commands].insert(bound_in[sets[i]].begin(), bound_in[sets[i]].end());
  real.vkCmdBindDescriptorSets(commands, point, layout, first, n, sets, n_offsets, offsets);
}

VKAPI_ATTR void VKAPI_CALL dispatch_indirect(VkCommandBuffer commands, VkBuffer buffer,
                                             VkDeviceSize offset) {
  add_buffer(used_by[commands], buffer);
  real.vkCmdDispatchIndirect(commands, buffer, offset);
}

VKAPI_ATTR void VKAPI_CALL copy(VkCommandBuffer commands, VkBuffer from, VkBuffer to,
                                std::uint32_t n, const VkBufferCopy* regions) {
  add_buffer(used_by[commands], from);
  add_buffer(used_by[commands], to);
  real.vkCmdCopyBuffer(commands, from, to, n, regions);
}

VKAPI_ATTR void VKAPI_CALL reset_queries(VkCommandBuffer commands, VkQueryPool pool,
                                         std::uint32_t first, std::uint32_t n) {
  used_by[commands].insert(number_of(pool));
  real.vkCmdResetQueryPool(commands, pool, first, n);
}

VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, std::uint32_t n, const VkSubmitInfo2* infos,
                                      VkFence fence) {
  // Only the last part of a submission signals a semaphore. This signal means that all parts are
  // done.
  Submission& submission = submissions.emplace_back();
  const VkSemaphoreSubmitInfo& signal = infos[n - 1].pSignalSemaphoreInfos[0];
  submission.semaphore = signal.semaphore;
  submission.value = signal.value;
  submission.objects.insert(number_of(signal.semaphore));
  for (std::uint32_t i = 0; i < n; ++i)
    for (std::uint32_t j = 0; j < infos[i].commandBufferInfoCount; ++j) {
      const Objects& used = used_by[infos[i].pCommandBufferInfos[j].commandBuffer];
      submission.objects.insert(used.begin(), used.end());
    }
  return real.vkQueueSubmit2(queue, n, infos, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL wait(VkDevice device, const VkSemaphoreWaitInfo* info,
                                    std::uint64_t timeout) {
  const VkResult result = real.vkWaitSemaphores(device, info, timeout);
  if (result == VK_SUCCESS) done_up_to(info->pSemaphores[0], info->pValues[0]);
  return result;
}

VKAPI_ATTR VkResult VKAPI_CALL counter(VkDevice device, VkSemaphore semaphore,
                                       std::uint64_t* value) {
  const VkResult result = real.vkGetSemaphoreCounterValue(device, semaphore, value);
  if (result == VK_SUCCESS) done_up_to(semaphore, *value);
  return result;
}

VKAPI_ATTR VkResult VKAPI_CALL wait_idle(VkDevice device) {
  const VkResult result = real.vkDeviceWaitIdle(device);
  if (result == VK_SUCCESS) submissions.clear();
  return result;
}

template <auto member, class Object>
VKAPI_ATTR void VKAPI_CALL destroy(VkDevice device, Object object,
                                   const VkAllocationCallbacks* callbacks) {
  expect_unused(number_of(object), "vkDestroy or vkFree");
  (real.*member)(device, object, callbacks);
}

}  // namespace

void watch_objects_in_use(Functions& functions) {
  // The hook is called several times. It waits for the call with the functions of a device, which
  // comes once.
  if (functions.vkQueueSubmit2 == nullptr) return;
  real = functions;
  functions.vkBindBufferMemory = bind_memory;
  functions.vkAllocateDescriptorSets = allocate_sets;
  functions.vkUpdateDescriptorSets = update_sets;
  functions.vkAllocateCommandBuffers = allocate_commands;
  functions.vkBeginCommandBuffer = begin;
  functions.vkCmdBindPipeline = bind_pipeline;
  functions.vkCmdBindDescriptorSets = bind_sets;
  functions.vkCmdDispatchIndirect = dispatch_indirect;
  functions.vkCmdCopyBuffer = copy;
  functions.vkCmdResetQueryPool = reset_queries;
  functions.vkQueueSubmit2 = submit;
  functions.vkWaitSemaphores = wait;
  functions.vkGetSemaphoreCounterValue = counter;
  functions.vkDeviceWaitIdle = wait_idle;
#define BX_WATCH(name) functions.name = destroy<&Functions::name>;
  BX_WATCH(vkDestroyBuffer)
  BX_WATCH(vkFreeMemory)
  BX_WATCH(vkDestroyPipeline)
  BX_WATCH(vkDestroyDescriptorPool)
  BX_WATCH(vkDestroyCommandPool)
  BX_WATCH(vkDestroyQueryPool)
  BX_WATCH(vkDestroySemaphore)
#undef BX_WATCH
}

}  // namespace bitaxon::vulkan::test
