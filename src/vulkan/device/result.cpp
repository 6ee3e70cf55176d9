#include "vulkan/device/result.h"

#include <fmt/format.h>

namespace bitaxon::vulkan {
namespace {

/// A hint that tells the user what to try after this result.
std::string_view hint(VkResult result) {
  switch (result) {
    case VK_ERROR_DEVICE_LOST:
      return "the driver gave up, a step may have taken too long; see the kernel log, try a "
             "smaller chunk or update the driver";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
      return "try a smaller model or one of 4 bits, or close other programs that use the device";
    case VK_ERROR_OUT_OF_HOST_MEMORY:
      return "the machine has no memory left, or a driver's manifest is broken (VK_DRIVER_FILES, "
             "VK_ICD_FILENAMES, /usr/share/vulkan/icd.d); close other programs";
    case VK_ERROR_MEMORY_MAP_FAILED:
      return "the process has no address space left, or the driver limits what it maps";
    case VK_ERROR_INITIALIZATION_FAILED:
      return "the driver cannot start; see that it is installed completely and that this user may "
             "open the device (is the user in the groups render and video?)";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
      return "no driver fits; install mesa-vulkan-drivers or that of the device's vendor";
    case VK_ERROR_LAYER_NOT_PRESENT:
      return "see VK_INSTANCE_LAYERS; layers are packages such as vulkan-validationlayers";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
    case VK_ERROR_FEATURE_NOT_PRESENT:
      return "the driver refuses what it lists as supported; update it";
    case VK_ERROR_TOO_MANY_OBJECTS:
      return "the driver's limit on such objects is reached";
    case VK_ERROR_FRAGMENTED_POOL:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
    case VK_ERROR_FRAGMENTATION:
      return "the driver has no room left for such objects; close other programs that use the "
             "device";
    default:
      return "update the driver, or try another device (bit-axon devices lists them)";
  }
}

}  // namespace

std::string result_name(VkResult result) {
  switch (result) {
#define BX_NAME(name) \
  case name:          \
    return #name
    BX_NAME(VK_SUCCESS);
    BX_NAME(VK_NOT_READY);
    BX_NAME(VK_TIMEOUT);
    BX_NAME(VK_EVENT_SET);
    BX_NAME(VK_EVENT_RESET);
    BX_NAME(VK_INCOMPLETE);
    BX_NAME(VK_PIPELINE_COMPILE_REQUIRED);
    BX_NAME(VK_ERROR_OUT_OF_HOST_MEMORY);
    BX_NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY);
    BX_NAME(VK_ERROR_INITIALIZATION_FAILED);
    BX_NAME(VK_ERROR_DEVICE_LOST);
    BX_NAME(VK_ERROR_MEMORY_MAP_FAILED);
    BX_NAME(VK_ERROR_LAYER_NOT_PRESENT);
    BX_NAME(VK_ERROR_EXTENSION_NOT_PRESENT);
    BX_NAME(VK_ERROR_FEATURE_NOT_PRESENT);
    BX_NAME(VK_ERROR_INCOMPATIBLE_DRIVER);
    BX_NAME(VK_ERROR_TOO_MANY_OBJECTS);
    BX_NAME(VK_ERROR_FORMAT_NOT_SUPPORTED);
    BX_NAME(VK_ERROR_FRAGMENTED_POOL);
    BX_NAME(VK_ERROR_UNKNOWN);
    BX_NAME(VK_ERROR_OUT_OF_POOL_MEMORY);
    BX_NAME(VK_ERROR_INVALID_EXTERNAL_HANDLE);
    BX_NAME(VK_ERROR_FRAGMENTATION);
    BX_NAME(VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS);
    BX_NAME(VK_ERROR_VALIDATION_FAILED_EXT);
    BX_NAME(VK_ERROR_INVALID_SHADER_NV);
#undef BX_NAME
    default:
      return fmt::format("VkResult {}", static_cast<int>(result));
  }
}

void check(VkResult result, std::string_view call, std::string_view object) {
  if (result >= VK_SUCCESS) return;
  const std::string text =
      fmt::format("vulkan: {}({}): {}; {}", call, object, result_name(result), hint(result));
  switch (result) {
    case VK_ERROR_DEVICE_LOST:
      throw DeviceLost(ErrorKind::device, text);
    case VK_ERROR_LAYER_NOT_PRESENT:
    case VK_ERROR_EXTENSION_NOT_PRESENT:
    case VK_ERROR_FEATURE_NOT_PRESENT:
    case VK_ERROR_INCOMPATIBLE_DRIVER:
      throw Error(ErrorKind::unsupported, text);
    default:
      throw Error(ErrorKind::device, text);
  }
}

}  // namespace bitaxon::vulkan
