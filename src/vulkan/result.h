// Vulkan results as errors.
#pragma once

#include <string>
#include <string_view>

#include "vulkan/functions.h"

namespace bitaxon::vulkan {

/// "VK_ERROR_DEVICE_LOST"; "VkResult -42" for one without a name here.
std::string result_name(VkResult result);

/// Throws Error(device) "vulkan: CALL(OBJECT): RESULT; what to try" when `result` is an error.
/// `object` says what the call was for: "state layer_3.keys, 47.2 MB".
void check(VkResult result, std::string_view call, std::string_view object);

}  // namespace bitaxon::vulkan
