// The loader library and a VkInstance.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "platform/dynamic_library.h"
#include "vulkan/device_caps.h"
#include "vulkan/drivers.h"
#include "vulkan/functions.h"

namespace bitaxon::vulkan {

/// What layers had to say, warnings and errors; from any thread. Outlives the instance.
struct Messages {
  std::mutex mutex;
  std::vector<std::string> lines;
  bool print = false;  ///< to stderr, too
};

std::vector<std::string> default_loader_names();

/// Owns the instance; the loader library stays open as long as it lives. Portability devices are
/// enumerated too. Layers are those of the environment: VK_INSTANCE_LAYERS, and
/// VK_LAYER_KHRONOS_validation, where it is installed, with BIT_AXON_VALIDATION=1. What they say
/// goes to `messages`, without it to stderr (their own default is stdout, where results go).
class Instance {
 public:
  /// Loads the drivers that `drivers` names. Throws Error(unsupported) when there is no loader, no
  /// driver or no Vulkan 1.2 ("install libvulkan1"), Error(device) when a call fails.
  explicit Instance(FunctionsHook replace = nullptr, Messages* messages = nullptr,
                    const std::vector<std::string>& loader_names = default_loader_names(),
                    const Drivers& drivers = {});
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
  /// Owns nothing yet but the library. The public constructor delegates to it, so that the
  /// destructor runs when it throws.
  Instance(FunctionsHook replace, DynamicLibrary library);
  void create(Messages* messages);

  FunctionsHook hook_;
  Messages printed_{{}, {}, true};  ///< where the caller keeps none
  DynamicLibrary library_;
  Functions functions_;
  bool debug_utils_ = false;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::vector<PhysicalDevice> devices_;
};

}  // namespace bitaxon::vulkan
