// How much of a step passes inside the driver.
#pragma once

#include "vulkan/functions.h"

namespace bitaxon::bench {

/// Seconds inside calls that a step makes, since they were taken last.
struct CallTimes {
  double submit_s = 0;  ///< vkQueueSubmit2
  double wait_s = 0;    ///< vkWaitSemaphores, vkGetSemaphoreCounterValue
};

/// A FunctionsHook that measures those calls. One device at a time, one thread at a time.
void measure_calls(vulkan::Functions& functions);
CallTimes take_call_times();

}  // namespace bitaxon::bench
