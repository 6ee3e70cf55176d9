#include "vulkan_tests/layers.h"

#include <cstdint>
#include <map>

namespace bitaxon::test {
namespace {

PFN_vkQueueSubmit2 queue_submit = nullptr;
PFN_vkDeviceWaitIdle wait_idle = nullptr;
std::map<VkSemaphore, std::uint64_t> signalled;

VKAPI_ATTR VkResult VKAPI_CALL submit_and_note(VkQueue queue, std::uint32_t n,
                                               const VkSubmitInfo2* submits, VkFence fence) {
  for (std::uint32_t i = 0; i < n; ++i)
    for (std::uint32_t s = 0; s < submits[i].signalSemaphoreInfoCount; ++s) {
      const VkSemaphoreSubmitInfo& signal = submits[i].pSignalSemaphoreInfos[s];
      signalled[signal.semaphore] = signal.value;
    }
  return queue_submit(queue, n, submits, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL wait_for_device(VkDevice device, const VkSemaphoreWaitInfo*,
                                               std::uint64_t) {
  return wait_idle(device);
}

VKAPI_ATTR VkResult VKAPI_CALL value_when_idle(VkDevice device, VkSemaphore semaphore,
                                               std::uint64_t* value) {
  *value = signalled[semaphore];
  return wait_idle(device);
}

}  // namespace

void answer_for_semaphores(vulkan::Functions& functions) {
  if (functions.vkQueueSubmit2 == nullptr) return;
  queue_submit = functions.vkQueueSubmit2;
  wait_idle = functions.vkDeviceWaitIdle;
  functions.vkQueueSubmit2 = submit_and_note;
  functions.vkWaitSemaphores = wait_for_device;
  functions.vkGetSemaphoreCounterValue = value_when_idle;
}

}  // namespace bitaxon::test
