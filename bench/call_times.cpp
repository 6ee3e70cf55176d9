#include "call_times.h"

#include <chrono>
#include <utility>

namespace bitaxon::bench {
namespace {

// A FunctionsHook and the functions that it puts into the table are plain functions and cannot hold
// data. Their data is therefore global.
CallTimes times;
vulkan::Functions original;

/// The destructor adds the lifetime of the object to `total`, in seconds.
class Stopwatch {
 public:
  explicit Stopwatch(double& total) : total_(total) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() {
    total_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  double& total_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

VKAPI_ATTR VkResult VKAPI_CALL queue_submit(VkQueue queue, std::uint32_t n,
                                            const VkSubmitInfo2* submits, VkFence fence) {
  const Stopwatch watch(times.submit_s);
  return original.vkQueueSubmit2(queue, n, submits, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo* info,
                                               std::uint64_t timeout) {
  const Stopwatch watch(times.wait_s);
  return original.vkWaitSemaphores(device, info, timeout);
}

VKAPI_ATTR VkResult VKAPI_CALL semaphore_value(VkDevice device, VkSemaphore semaphore,
                                               std::uint64_t* value) {
  const Stopwatch watch(times.wait_s);
  return original.vkGetSemaphoreCounterValue(device, semaphore, value);
}

}  // namespace

void measure_calls(vulkan::Functions& functions) {
  // The hook is called several times while the table of functions is filled. vkQueueSubmit2 is null
  // until the last call, because the functions of the device come last.
  if (functions.vkQueueSubmit2 == nullptr) return;
  original = functions;
  functions.vkQueueSubmit2 = queue_submit;
  functions.vkWaitSemaphores = wait_semaphores;
  functions.vkGetSemaphoreCounterValue = semaphore_value;
}

CallTimes take_call_times() { return std::exchange(times, {}); }

}  // namespace bitaxon::bench
