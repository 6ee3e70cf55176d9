// How much time of a step is spent inside the driver.
#pragma once

#include "vulkan/device/functions.h"

namespace bitaxon::bench {

/// Seconds spent inside calls of a step since the last take_call_times().
struct CallTimes {
  double submit_s = 0;  ///< vkQueueSubmit2
  double wait_s = 0;    ///< vkWaitSemaphores, vkGetSemaphoreCounterValue
};

/// A FunctionsHook that measures those calls. For one device and one thread at a time.
void measure_calls(vulkan::Functions& functions);
CallTimes take_call_times();

}  // namespace bitaxon::bench
