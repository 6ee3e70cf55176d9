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

/// Collects warnings and errors of layers, which may come from any thread. Must outlive the
/// instance.
struct Messages {
  std::mutex mutex;
  std::vector<std::string> lines;
  bool print = false;  ///< whether each line is also written to stderr
};

std::vector<std::string> default_loader_names();

/// Owns a VkInstance and keeps the loader library open. The devices include portability devices.
/// The environment chooses the layers: VK_INSTANCE_LAYERS names layers, and BIT_AXON_VALIDATION=1
/// adds VK_LAYER_KHRONOS_validation if it is installed. Messages of layers go to `messages`, or to
/// stderr if `messages` is null. (By default, layers write to stdout, but stdout is for results.)
class Instance {
 public:
  /// Opens the loader and makes it load the drivers that `drivers` lists. Throws Error(unsupported)
  /// when there is no loader, no driver or no Vulkan 1.2; the message says what to install. Throws
  /// Error(device) when a call fails.
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
  /// Creates no Vulkan object. The public constructor delegates to this constructor, so that the
  /// destructor runs when the public constructor throws.
  Instance(FunctionsHook replace, DynamicLibrary library);
  void create(Messages* messages);

  FunctionsHook hook_;
  Messages printed_{{}, {}, true};  ///< used if the caller passes no Messages
  DynamicLibrary library_;
  Functions functions_;
  bool debug_utils_ = false;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::vector<PhysicalDevice> devices_;
};

}  // namespace bitaxon::vulkan
