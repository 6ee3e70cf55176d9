#include "vulkan/device/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "platform/standard_streams.h"
#include "vulkan/device/device_access.h"
#include "vulkan/device/enumerate.h"
#include "vulkan/device/structure.h"
#include "vulkan/drivers/driver_files.h"

namespace bitaxon::vulkan {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

Error unsupported(const std::string& problem) { return {ErrorKind::unsupported, problem}; }

DynamicLibrary open_loader(const std::vector<std::string>& names, const Drivers& drivers) {
  if (!drivers.problem.empty()) throw unsupported(drivers.problem);
  try {
    return DynamicLibrary(names);
  } catch (const Error& error) {
    throw unsupported(
        fmt::format("no Vulkan loader: install libvulkan1 and a driver ({})", error.what()));
  }
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool has_instance_extension(const Functions& fn, std::string_view name) {
  const auto extensions = enumerate<VkExtensionProperties>(
      "vkEnumerateInstanceExtensionProperties", "Vulkan loader",
      [&](std::uint32_t* n, VkExtensionProperties* items) {
        return fn.vkEnumerateInstanceExtensionProperties(nullptr, n, items);
      });
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const auto& extension) { return name == extension.extensionName; });
}

bool has_layer(const Functions& fn, std::string_view name) {
  const auto layers =
      enumerate<VkLayerProperties>("vkEnumerateInstanceLayerProperties", "Vulkan loader",
                                   [&](std::uint32_t* n, VkLayerProperties* items) {
                                     return fn.vkEnumerateInstanceLayerProperties(n, items);
                                   });
  return std::any_of(layers.begin(), layers.end(),
                     [&](const auto& layer) { return name == layer.layerName; });
}

/// The version of the loader. Throws Error(unsupported) when it is below 1.2.
std::uint32_t loader_version(const Functions& fn) {
  // A loader without vkEnumerateInstanceVersion has version 1.0.
  std::uint32_t version = VK_API_VERSION_1_0;
  if (fn.vkEnumerateInstanceVersion != nullptr)
    check(fn.vkEnumerateInstanceVersion(&version), "vkEnumerateInstanceVersion", "Vulkan loader");
  if (version < VK_API_VERSION_1_2)
    throw unsupported(
        fmt::format("the Vulkan loader has version {}, 1.2 is needed: update libvulkan1",
                    version_text(version)));
  return version;
}

/// A text with the environment variable that replaces the loader's own search for drivers. Empty if
/// no such variable is set.
std::string named_manifests() {
  for (const char* name : {"VK_DRIVER_FILES", "VK_ICD_FILENAMES"})
    if (const std::string files = environment(name); !files.empty())
      return fmt::format("; {} names {}", name, printable(files, 200));
  return "";
}

VKAPI_ATTR VkBool32 VKAPI_CALL keep_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                            VkDebugUtilsMessageTypeFlagsEXT,
                                            const VkDebugUtilsMessengerCallbackDataEXT* data,
                                            void* user_data) {
  auto& messages = *static_cast<Messages*>(user_data);
  try {
    const std::lock_guard lock(messages.mutex);
    std::string line = data->pMessage == nullptr ? "" : data->pMessage;
    // Old layers begin a message with the name of the violated rule. For other layers, the name is
    // put before the message here.
    const std::string_view name = data->pMessageIdName == nullptr ? "" : data->pMessageIdName;
    if (!name.empty() && line.find(name) == line.npos) line = fmt::format("{}: {}", name, line);
    messages.lines.push_back(std::move(line));
    if (messages.print) write_standard_error(messages.lines.back() + "\n");
  } catch (...) {  // out of memory; exceptions must not reach the caller, which is C code
  }
  return VK_FALSE;
}

/// Settings for the messages that `messages` collects. Messages of the type GENERAL are left out:
/// they come from the loader and concern drivers that are not used.
VkDebugUtilsMessengerCreateInfoEXT messenger_info(Messages& messages) {
  auto info = structure<VkDebugUtilsMessengerCreateInfoEXT>(
      VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT);
  info.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                         VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                     VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  info.pfnUserCallback = keep_message;
  info.pUserData = &messages;
  return info;
}

/// Loads one function into `pointer`. Throws Error(unsupported) if the loader lacks the function
/// and `needed` is set.
template <class Pointer>
void load(const Functions& fn, VkInstance instance, const char* name, bool needed,
          Pointer& pointer) {
  pointer = reinterpret_cast<Pointer>(fn.vkGetInstanceProcAddr(instance, name));
  if (needed && pointer == nullptr)
    throw unsupported(fmt::format("the Vulkan loader lacks {}: update libvulkan1", name));
}

void load_global_functions(Functions& fn) {
#define BX_LOAD(name) load(fn, VK_NULL_HANDLE, #name, false, fn.name);
  BX_VK_GLOBAL_FUNCTIONS(BX_LOAD)
#undef BX_LOAD
  if (fn.vkEnumerateInstanceExtensionProperties == nullptr ||
      fn.vkEnumerateInstanceLayerProperties == nullptr || fn.vkCreateInstance == nullptr)
    throw unsupported("the Vulkan loader is damaged: install libvulkan1 anew");
}

void load_instance_functions(Functions& fn, VkInstance instance) {
  // vkDestroyInstance is loaded first, so that the instance can be destroyed even if another
  // function is missing.
  load(fn, instance, "vkDestroyInstance", true, fn.vkDestroyInstance);
#define BX_LOAD(name) load(fn, instance, #name, true, fn.name);
  BX_VK_INSTANCE_FUNCTIONS(BX_LOAD)
#undef BX_LOAD
#define BX_LOAD(name) load(fn, instance, #name, false, fn.name);
  BX_VK_OPTIONAL_INSTANCE_FUNCTIONS(BX_LOAD)
#undef BX_LOAD
}

std::vector<VkPhysicalDevice> physical_devices(const Functions& fn, VkInstance instance) {
  return enumerate<VkPhysicalDevice>(
      "vkEnumeratePhysicalDevices", "all drivers", [&](std::uint32_t* n, VkPhysicalDevice* items) {
        const VkResult result = fn.vkEnumeratePhysicalDevices(instance, n, items);
        // The loader (1.3.239) returns this error if no driver has a device. That is no error here:
        // the list of devices is empty.
        if (result != VK_ERROR_INITIALIZATION_FAILED || items != nullptr) return result;
        *n = 0;
        return VK_SUCCESS;
      });
}

}  // namespace

std::vector<std::string> default_loader_names() { return {"libvulkan.so.1", "libvulkan.so"}; }

Instance::Instance(FunctionsHook replace, DynamicLibrary library)
    : hook_(replace), library_(std::move(library)) {}

Instance::Instance(FunctionsHook replace, Messages* messages,
                   const std::vector<std::string>& loader_names, const Drivers& drivers)
    : Instance(replace, open_loader(loader_names, drivers)) {
  // The environment tells the loader which drivers to load, because every loader supports this.
  const ChangedEnvironment changed(loader_settings(drivers.manifests, drivers.with_layers));
  functions_.vkGetInstanceProcAddr =
      reinterpret_cast<PFN_vkGetInstanceProcAddr>(library_.find("vkGetInstanceProcAddr"));
  if (functions_.vkGetInstanceProcAddr == nullptr)
    throw unsupported("the Vulkan loader is damaged: install libvulkan1 anew");
  load_global_functions(functions_);
  if (hook_ != nullptr) hook_(functions_);
  create(messages);
  const std::vector<VkPhysicalDevice> handles = physical_devices(functions_, instance_);
  for (const VkPhysicalDevice handle : handles)
    devices_.push_back(
        {handle, query_caps(functions_, handle, static_cast<std::uint32_t>(devices_.size()))});
}

void Instance::create(Messages* messages) {
  auto application = structure<VkApplicationInfo>(VK_STRUCTURE_TYPE_APPLICATION_INFO);
  application.pApplicationName = "bit-axon";
  application.apiVersion =
      loader_version(functions_) >= VK_API_VERSION_1_3 ? VK_API_VERSION_1_3 : VK_API_VERSION_1_2;
  auto info = structure<VkInstanceCreateInfo>(VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
  info.pApplicationInfo = &application;
  std::vector<const char*> extensions;
  if (has_instance_extension(functions_, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
    extensions.push_back(VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
    info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
  }
  const bool debug_utils = has_instance_extension(functions_, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
  if (debug_utils) extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
  std::vector<const char*> layers;
  if (environment("BIT_AXON_VALIDATION") == "1" && has_layer(functions_, kValidationLayer))
    layers.push_back(kValidationLayer);
  if (messages == nullptr) messages = &printed_;
  const bool listens =
      debug_utils && (!layers.empty() || !environment("VK_INSTANCE_LAYERS").empty());
  VkDebugUtilsMessengerCreateInfoEXT messenger{};
  if (listens) {
    messenger = messenger_info(*messages);
    info.pNext = &messenger;  // for messages while the instance is created or destroyed
  }
  info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  info.enabledLayerCount = static_cast<std::uint32_t>(layers.size());
  info.ppEnabledLayerNames = layers.data();
  VkInstance instance = VK_NULL_HANDLE;
  const VkResult result = functions_.vkCreateInstance(&info, nullptr, &instance);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
    throw unsupported(with_access_problem(
        "no Vulkan driver: install mesa-vulkan-drivers or that of the device's vendor" +
        named_manifests()));
  check(result, "vkCreateInstance", "all drivers");
  instance_ = instance;  // only after the check, because a failed call may write to `instance`
  load_instance_functions(functions_, instance_);
  if (hook_ != nullptr) hook_(functions_);
  debug_utils_ = debug_utils;
  if (!listens) return;
  VkDebugUtilsMessengerEXT listener = VK_NULL_HANDLE;
  check(functions_.vkCreateDebugUtilsMessengerEXT(instance_, &messenger, nullptr, &listener),
        "vkCreateDebugUtilsMessengerEXT", "validation messages");
  messenger_ = listener;
}

Instance::~Instance() {
  if (messenger_ != VK_NULL_HANDLE)
    functions_.vkDestroyDebugUtilsMessengerEXT(instance_, messenger_, nullptr);
  if (instance_ != VK_NULL_HANDLE && functions_.vkDestroyInstance != nullptr)
    functions_.vkDestroyInstance(instance_, nullptr);
}

}  // namespace bitaxon::vulkan
