// Measures how much time of a step is spent in calls to the Vulkan driver.
#pragma once

#include "vulkan/device/functions.h"

namespace bitaxon::bench {

/// The seconds that calls to the driver have taken since the previous take_call_times().
struct CallTimes {
  double submit_s = 0;  ///< time in vkQueueSubmit2
  double wait_s = 0;    ///< time in vkWaitSemaphores and vkGetSemaphoreCounterValue
};

/// A FunctionsHook that measures the time of the calls in CallTimes. Only one device and one thread
/// may use the hook at a time.
void measure_calls(vulkan::Functions& functions);
CallTimes take_call_times();

}  // namespace bitaxon::bench
