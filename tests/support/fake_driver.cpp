// A Vulkan driver that forwards calls to another driver ($BX_WRAPPED_DRIVER), but misbehaves in one
// function. The name of the library says in what way and in which function:
//   crash_in_vkCreateDevice.so, exit_in_load.so, hang_in_unload.so,
//   fail_in_vkEnumeratePhysicalDevices.so, crash_in_nothing.so
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

namespace {

std::string own_name() {
  Dl_info info{};
  ::dladdr(reinterpret_cast<void*>(&own_name), &info);
  return std::filesystem::path(info.dli_fname).stem().string();
}

/// What the driver does (`first`), or the function in which it does this: the text of the library's
/// name before or after "_in_".
std::string word(bool first) {
  const std::string name = own_name();
  const std::size_t at = name.find("_in_");
  return first ? name.substr(0, at) : name.substr(at + 4);
}

VkResult misbehave() {
  const std::string act = word(true);
  if (act == "fail") return VK_ERROR_OUT_OF_HOST_MEMORY;
  if (act == "refuse") return VK_ERROR_INITIALIZATION_FAILED;
  if (act == "crash") ::raise(SIGSEGV);
  if (act == "abort") std::abort();
  if (act == "exit") std::_Exit(3);
  while (true) ::pause();
}

bool is_chosen(const char* function) { return word(false) == function; }

/// The function `name` of the wrapped driver.
template <class Pointer>
Pointer wrapped(const char* name) {
  static void* library = ::dlopen(std::getenv("BX_WRAPPED_DRIVER"), RTLD_NOW | RTLD_LOCAL);
  return reinterpret_cast<Pointer>(::dlsym(library, name));
}

PFN_vkVoidFunction bad_function() { return reinterpret_cast<PFN_vkVoidFunction>(misbehave); }

PFN_vkGetDeviceProcAddr next_device_function = nullptr;

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice device, const char* name) {
  return is_chosen(name) ? bad_function() : next_device_function(device, name);
}

/// Appends a byte to the file $BX_FAKE_DRIVER_LOADS. Called whenever a process loads this library.
void count_load() {
  const char* file = std::getenv("BX_FAKE_DRIVER_LOADS");
  if (file != nullptr) std::ofstream(file, std::ios::app) << '.';
}

__attribute__((constructor)) void load() {
  count_load();
  if (is_chosen("load")) misbehave();
}
__attribute__((destructor)) void unload() {
  if (is_chosen("unload")) misbehave();
}

}  // namespace

extern "C" {

VKAPI_ATTR VkResult VKAPI_CALL vk_icdNegotiateLoaderICDInterfaceVersion(std::uint32_t* version) {
  if (is_chosen("negotiation")) misbehave();
  return wrapped<VkResult (*)(std::uint32_t*)>("vk_icdNegotiateLoaderICDInterfaceVersion")(version);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetInstanceProcAddr(VkInstance instance,
                                                                   const char* name) {
  if (is_chosen(name)) return bad_function();
  const PFN_vkVoidFunction function =
      wrapped<PFN_vkGetInstanceProcAddr>("vk_icdGetInstanceProcAddr")(instance, name);
  if (std::strcmp(name, "vkGetDeviceProcAddr") != 0 || function == nullptr) return function;
  next_device_function = reinterpret_cast<PFN_vkGetDeviceProcAddr>(function);
  return reinterpret_cast<PFN_vkVoidFunction>(device_function);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetPhysicalDeviceProcAddr(VkInstance instance,
                                                                         const char* name) {
  if (is_chosen(name)) return bad_function();
  return wrapped<PFN_vkGetInstanceProcAddr>("vk_icdGetPhysicalDeviceProcAddr")(instance, name);
}
}
