#include "failing_calls.h"

#include <gtest/gtest.h>

#include <string_view>
#include <type_traits>

namespace bitaxon::vulkan::test {
namespace {

FailingCalls calls;

bool fails_now(const char* name) {
  const int n = ++calls.n_calls[name];
  if (calls.name != name || n < calls.first || n >= calls.first + calls.n_failures) return false;
  ++calls.n_failed;
  return true;
}

/// One for each member of Functions.
template <auto member>
struct Wrapped;
template <class Result, class... Arguments, Result (VKAPI_PTR* Functions::*member)(Arguments...)>
struct Wrapped<member> {
  using Pointer = Result(VKAPI_PTR*)(Arguments...);
  inline static Pointer real = nullptr;
  inline static const char* name = nullptr;

  static VKAPI_ATTR Result VKAPI_CALL call(Arguments... arguments) {
    if constexpr (std::is_same_v<Result, VkResult>) {
      if (fails_now(name)) return calls.result;
      const VkResult result = real(arguments...);
      if (result >= VK_SUCCESS) ++calls.n_successes[name];
      return result;
    } else {
      ++calls.n_calls[name];
      return real(arguments...);
    }
  }

  static void put_into(Functions& functions, const char* its_name) {
    // The table comes by again with what was put in before.
    if (functions.*member == nullptr || functions.*member == &call) return;
    real = functions.*member;
    name = its_name;
    functions.*member = &call;
  }
};

PFN_vkGetInstanceProcAddr real_instance_lookup = nullptr;
PFN_vkGetDeviceProcAddr real_device_lookup = nullptr;

/// `found` for `name`; what destroys is counted from the start, as it may be called before the
/// hook.
template <auto destroy>
PFN_vkVoidFunction counted(const char* destroy_name, const char* name, PFN_vkVoidFunction found) {
  if (std::string_view(destroy_name) != name || found == nullptr) return found;
  Functions functions;
  functions.*destroy = reinterpret_cast<typename Wrapped<destroy>::Pointer>(found);
  Wrapped<destroy>::put_into(functions, destroy_name);
  return reinterpret_cast<PFN_vkVoidFunction>(functions.*destroy);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_lookup(VkInstance instance, const char* name) {
  if (calls.missing == name) return nullptr;
  return counted<&Functions::vkDestroyInstance>("vkDestroyInstance", name,
                                                real_instance_lookup(instance, name));
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_lookup(VkDevice device, const char* name) {
  if (calls.missing == name) return nullptr;
  return counted<&Functions::vkDestroyDevice>("vkDestroyDevice", name,
                                              real_device_lookup(device, name));
}

}  // namespace

void FailingCalls::reset() { calls = {}; }
FailingCalls& FailingCalls::now() { return calls; }

void FailingCalls::hook(Functions& functions) {
  if (functions.vkGetInstanceProcAddr != instance_lookup) {
    real_instance_lookup = functions.vkGetInstanceProcAddr;
    functions.vkGetInstanceProcAddr = instance_lookup;
  }
  if (functions.vkGetDeviceProcAddr != nullptr && functions.vkGetDeviceProcAddr != device_lookup) {
    real_device_lookup = functions.vkGetDeviceProcAddr;
    functions.vkGetDeviceProcAddr = device_lookup;
  }
  if (calls.missing == "vkEnumerateInstanceVersion") functions.vkEnumerateInstanceVersion = nullptr;
#define BX_WRAP(name) Wrapped<&Functions::name>::put_into(functions, #name);
  BX_WRAP(vkEnumerateInstanceVersion)
  BX_WRAP(vkEnumerateInstanceExtensionProperties)
  BX_WRAP(vkEnumerateInstanceLayerProperties)
  BX_WRAP(vkCreateInstance)
  BX_WRAP(vkDestroyInstance)
  BX_WRAP(vkEnumeratePhysicalDevices)
  BX_WRAP(vkEnumerateDeviceExtensionProperties)
  BX_WRAP(vkCreateDebugUtilsMessengerEXT)
  BX_WRAP(vkDestroyDebugUtilsMessengerEXT)
  BX_WRAP(vkCreateDevice)
  BX_WRAP(vkDestroyDevice)
#undef BX_WRAP
}

void FailingCalls::expect_nothing_left() {
  for (const std::string kind : {"Instance", "Device", "DebugUtilsMessengerEXT"})
    EXPECT_EQ(calls.n_successes["vkCreate" + kind], calls.n_calls["vkDestroy" + kind]) << kind;
}

}  // namespace bitaxon::vulkan::test
