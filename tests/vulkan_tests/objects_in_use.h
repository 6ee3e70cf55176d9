// Watches that nothing is destroyed, and no command buffer begun anew, while the device may be
// using it: until the program has been told that the submission is done.
#pragma once

#include "vulkan/functions.h"

namespace bitaxon::vulkan::test {

/// A hook for one device at a time; what it sees fails the test. Buffers that shaders reach by
/// their addresses are not seen.
void watch_objects_in_use(Functions& functions);

}  // namespace bitaxon::vulkan::test
