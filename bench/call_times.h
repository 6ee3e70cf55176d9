// Measures how much time of a step is spent inside the driver.
#pragma once

#include "vulkan/device/functions.h"

namespace bitaxon::bench {

/// Seconds spent in calls to the driver since the previous take_call_times().
struct CallTimes {
  double submit_s = 0;  ///< in vkQueueSubmit2
  double wait_s = 0;    ///< in vkWaitSemaphores and vkGetSemaphoreCounterValue
};

/// A FunctionsHook that measures these calls. Only one device and one thread may use it at a time.
void measure_calls(vulkan::Functions& functions);
CallTimes take_call_times();

}  // namespace bitaxon::bench
