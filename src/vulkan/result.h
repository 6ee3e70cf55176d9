// Vulkan results as errors.
#pragma once

#include <string>
#include <string_view>

#include "bitaxon/error.h"
#include "vulkan/functions.h"

namespace bitaxon::vulkan {

/// Nothing runs on this device any more, and nothing ever will.
class DeviceLost : public Error {
 public:
  using Error::Error;
};

/// "VK_ERROR_DEVICE_LOST"; "VkResult -42" for one without a name here.
std::string result_name(VkResult result);

/// Throws Error "vulkan: CALL(OBJECT): RESULT; what to try" when `result` is an error: unsupported
/// where something is not installed or not offered, a DeviceLost, device otherwise. `object` says
/// what the call was for: "state layer_3.keys, 47.2 MB".
void check(VkResult result, std::string_view call, std::string_view object);

}  // namespace bitaxon::vulkan
