// Checks that no object is destroyed and no command buffer is begun again while the device may use
// it. The device may use an object until the program knows that the submission is done.
#pragma once

#include "vulkan/device/functions.h"

namespace bitaxon::vulkan::test {

/// A hook for one device at a time. A violation fails the test. Buffers that shaders reach by
/// address are not tracked.
void watch_objects_in_use(Functions& functions);

}  // namespace bitaxon::vulkan::test
