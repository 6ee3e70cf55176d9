// The loader library and a VkInstance.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "platform/dynamic_library.h"
#include "vulkan/device/device_caps.h"
#include "vulkan/device/functions.h"
#include "vulkan/drivers/drivers.h"

namespace bitaxon::vulkan {

/// Warnings and errors of layers, from any thread. Outlives the instance.
struct Messages {
  std::mutex mutex;
  std::vector<std::string> lines;
  bool print = false;  ///< whether to write the lines to stderr, too
};

std::vector<std::string> default_loader_names();

/// Owns the instance and keeps the loader library open. Portability devices are enumerated, too.
/// The environment chooses the layers. VK_INSTANCE_LAYERS names them, and BIT_AXON_VALIDATION=1
/// adds VK_LAYER_KHRONOS_validation if it is installed. Messages of layers go to `messages`, or to
/// stderr if `messages` is null. (By default, layers write to stdout, which is for results.)
class Instance {
 public:
  /// Loads the drivers that `drivers` lists. Throws Error(unsupported) when there is no loader, no
  /// driver or no Vulkan 1.2 ("install libvulkan1"), and Error(device) when a call fails.
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
  /// The devices in the order of the loader. Empty when no driver has a device.
  const std::vector<PhysicalDevice>& devices() const { return devices_; }

 private:
  /// Owns only the library. The public constructor delegates to this one, so that the destructor
  /// runs when the public constructor throws.
  Instance(FunctionsHook replace, DynamicLibrary library);
  void create(Messages* messages);

  FunctionsHook hook_;
  Messages printed_{{}, {}, true};  ///< used when the caller passes no messages
  DynamicLibrary library_;
  Functions functions_;
  bool debug_utils_ = false;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::vector<PhysicalDevice> devices_;
};

}  // namespace bitaxon::vulkan
