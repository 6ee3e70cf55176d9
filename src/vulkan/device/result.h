// Turns the result codes of Vulkan into errors.
#pragma once

#include <string>
#include <string_view>

#include "bitaxon/error.h"
#include "vulkan/device/functions.h"

namespace bitaxon::vulkan {

/// The error for a lost device. Nothing runs on a lost device, and it cannot be used again.
class DeviceLost : public Error {
 public:
  using Error::Error;
};

/// The name of a result, such as "VK_ERROR_DEVICE_LOST". "VkResult -42" if the name is not known.
std::string result_name(VkResult result);

/// Throws an Error if `result` is an error. The message is "vulkan: CALL(OBJECT): RESULT; what to
/// try". `object` says what the call was for, such as "state layer_3.keys, 47.2 MB". The kind of
/// the Error is `unsupported` if something is not installed or not offered, else `device`. For a
/// lost device, the Error is a DeviceLost.
void check(VkResult result, std::string_view call, std::string_view object);

}  // namespace bitaxon::vulkan
