// Checks that the program does not destroy an object, or begin a command buffer again, while the
// device may still use it. The device may use an object until the program knows that the submission
// is done.
#pragma once

#include "vulkan/device/functions.h"

namespace bitaxon::vulkan::test {

/// A hook for one device at a time. A violation fails the test. The hook does not track buffers
/// that shaders access by address.
void watch_objects_in_use(Functions& functions);

}  // namespace bitaxon::vulkan::test
