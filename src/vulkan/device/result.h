// Vulkan results as errors.
#pragma once

#include <string>
#include <string_view>

#include "bitaxon/error.h"
#include "vulkan/device/functions.h"

namespace bitaxon::vulkan {

/// The device is lost: nothing runs on it, and nothing will run on it again.
class DeviceLost : public Error {
 public:
  using Error::Error;
};

/// The name of a result, such as "VK_ERROR_DEVICE_LOST". "VkResult -42" if the name is not known.
std::string result_name(VkResult result);

/// Throws an Error "vulkan: CALL(OBJECT): RESULT; what to try" when `result` is an error. The kind
/// is unsupported when something is not installed or not offered, and device otherwise; a lost
/// device throws DeviceLost. `object` says what the call was for: "state layer_3.keys, 47.2 MB".
void check(VkResult result, std::string_view call, std::string_view object);

}  // namespace bitaxon::vulkan
