// The loader library and a VkInstance.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vulkan/device_caps.h"
#include "vulkan/functions.h"

namespace bitaxon::vulkan {

/// Owns the instance; the loader library stays open as long as it lives. Portability devices are
/// enumerated too. Layers are those of the environment (VK_INSTANCE_LAYERS); messages that they
/// have go to VK_EXT_debug_utils, which is enabled where it is there.
class Instance {
 public:
  /// Throws Error(unsupported) when there is no loader or no Vulkan 1.2 ("install libvulkan1 and a
  /// driver"), Error(device) when a call fails.
  explicit Instance(FunctionsHook hook = nullptr);
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance();

  const Functions& functions() const { return functions_; }
  FunctionsHook hook() const { return hook_; }
  VkInstance handle() const { return instance_; }
  bool has_debug_utils() const { return debug_utils_; }

  struct PhysicalDevice {
    VkPhysicalDevice handle = VK_NULL_HANDLE;
    DeviceCaps caps;
  };
  /// In the loader's order. Empty when no driver has a device.
  const std::vector<PhysicalDevice>& devices() const { return devices_; }

 private:
  FunctionsHook hook_;
  std::shared_ptr<void> library_;
  Functions functions_;
  bool debug_utils_ = false;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::vector<PhysicalDevice> devices_;
};

}  // namespace bitaxon::vulkan
