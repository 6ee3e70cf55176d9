#include "failing_calls.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace bitaxon::vulkan::test {
namespace {

FailingCalls calls;
/// Handles of the existing objects, by kind of object.
std::map<std::string, std::set<std::uint64_t>> alive;

/// Whether the specification lets this function return VK_ERROR_DEVICE_LOST.
bool tells_of_loss(std::string_view name) {
  return name == "vkQueueSubmit2" || name == "vkWaitSemaphores" || name == "vkDeviceWaitIdle" ||
         name == "vkGetSemaphoreCounterValue" || name == "vkGetQueryPoolResults";
}

/// Counts a call of the function `name`. Returns the error that this call must return. Returns
/// VK_SUCCESS if the driver's own function is to be called.
VkResult failure_now(const char* name) {
  const int n = ++calls.n_calls[name];
  if (calls.lost && tells_of_loss(name)) return VK_ERROR_DEVICE_LOST;
  if (calls.name != name || n < calls.first || n >= calls.first + calls.n_failures)
    return VK_SUCCESS;
  ++calls.n_failed;
  calls.lost = calls.result == VK_ERROR_DEVICE_LOST && tells_of_loss(name);
  return calls.result;
}

bool begins_with(std::string_view text, std::string_view start) {
  return text.rfind(start, 0) == 0;
}

/// The kind of object that a function creates, such as "Buffer" for vkCreateBuffer. Empty if the
/// function creates no object.
std::string kind_made(std::string_view name) {
  if (name == "vkAllocateMemory") return "Memory";
  if (name == "vkCreateComputePipelines") return "Pipeline";
  return begins_with(name, "vkCreate") ? std::string(name.substr(8)) : "";
}
std::string kind_destroyed(std::string_view name) {
  if (name == "vkFreeMemory") return "Memory";
  return begins_with(name, "vkDestroy") ? std::string(name.substr(9)) : "";
}

template <class Handle>
std::uint64_t number_of(Handle handle) {
  return reinterpret_cast<std::uint64_t>(handle);
}

/// The wrapper of one function of the driver. Each member of Functions has its own specialization.
template <auto member>
struct Wrapped;
template <class Result, class... Arguments, Result (VKAPI_PTR* Functions::*member)(Arguments...)>
struct Wrapped<member> {
  using Pointer = Result(VKAPI_PTR*)(Arguments...);
  using Types = std::tuple<Arguments...>;
  static constexpr std::size_t kCount = sizeof...(Arguments);
  inline static Pointer real = nullptr;
  inline static const char* name = nullptr;

  static constexpr bool kFallible = std::is_same_v<Result, VkResult>;

  static VKAPI_ATTR Result VKAPI_CALL call(Arguments... arguments) {
    const Types all(arguments...);
    if constexpr (kFallible) {
      const int n_failed = calls.n_failed;
      const VkResult failure = failure_now(name);
      // A lost device runs nothing. The real device is not lost, so it must become idle here.
      if (calls.lost && std::string_view(name) == "vkDeviceWaitIdle") real(arguments...);
      if (failure != VK_SUCCESS || calls.n_failed != n_failed) return failure;
      const VkResult result = real(arguments...);
      // The last argument points to the created object: its type is VkX*, where VkX is itself a
      // pointer.
      using Made = std::tuple_element_t<kCount - 1, Types>;
      if constexpr (std::is_pointer_v<std::remove_pointer_t<Made>>) {
        const std::string kind = kind_made(name);
        if (result == VK_SUCCESS && !kind.empty()) {
          EXPECT_TRUE(alive[kind].insert(number_of(*std::get<kCount - 1>(all))).second) << name;
        }
      }
      return result;
    } else {
      ++calls.n_calls[name];
      // The destroyed object is the argument before the allocator.
      if constexpr (kCount >= 2) {
        using Destroyed = std::tuple_element_t<kCount - 2, Types>;
        if constexpr (std::is_pointer_v<Destroyed>) {
          const std::string kind = kind_destroyed(name);
          if (!kind.empty()) {
            EXPECT_EQ(alive[kind].erase(number_of(std::get<kCount - 2>(all))), 1u) << name;
          }
        }
      }
      return real(arguments...);
    }
  }

  static void put_into(Functions& functions, const char* its_name) {
    // The hook may get the same table again after it has put wrappers into the table.
    if (functions.*member == nullptr || functions.*member == &call) return;
    if (!kFallible && kind_destroyed(its_name).empty()) return;
    real = functions.*member;
    name = its_name;
    functions.*member = &call;
  }
};

#define BX_ALL_FUNCTIONS(X)            \
  BX_VK_GLOBAL_FUNCTIONS(X)            \
  BX_VK_INSTANCE_FUNCTIONS(X)          \
  BX_VK_OPTIONAL_INSTANCE_FUNCTIONS(X) \
  BX_VK_DEVICE_FUNCTIONS(X)            \
  BX_VK_SYNCHRONIZATION2_FUNCTIONS(X)  \
  BX_VK_OPTIONAL_DEVICE_FUNCTIONS(X)

PFN_vkGetInstanceProcAddr real_instance_lookup = nullptr;
PFN_vkGetDeviceProcAddr real_device_lookup = nullptr;

/// Returns `found`, or its wrapper if `name` is the name of the destroy function. A destroy
/// function is wrapped when it is looked up, because it may be called before the hook runs.
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
  BX_ALL_FUNCTIONS(BX_WRAP)
#undef BX_WRAP
}

void FailingCalls::expect_nothing_left() {
  for (const auto& [kind, handles] : alive) EXPECT_EQ(handles.size(), 0u) << kind;
  alive.clear();
}

std::vector<std::string> fallible_calls() {
  std::vector<std::string> names;
#define BX_ADD(name) \
  if (Wrapped<&Functions::name>::kFallible) names.push_back(#name);
  BX_ALL_FUNCTIONS(BX_ADD)
#undef BX_ADD
  return names;
}

}  // namespace bitaxon::vulkan::test
