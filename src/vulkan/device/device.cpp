#include "vulkan/device/device.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "vulkan/device/floor.h"
#include "vulkan/device/result.h"
#include "vulkan/device/structure.h"

namespace bitaxon::vulkan {
namespace {

VkBool32 vk_bool(bool value) { return value ? VK_TRUE : VK_FALSE; }

/// The list of features to enable: the features that the floor requires, and the optional features
/// that DeviceCaps reports.
class EnabledFeatures {
 public:
  explicit EnabledFeatures(const DeviceCaps& caps) {
    v11_.storageBuffer16BitAccess = vk_bool(caps.storage_16bit);
    v12_.bufferDeviceAddress = VK_TRUE;
    v12_.timelineSemaphore = VK_TRUE;
    v12_.scalarBlockLayout = VK_TRUE;
    v12_.shaderFloat16 = vk_bool(caps.shader_float16);
    v12_.vulkanMemoryModel = vk_bool(caps.memory_model);
    v12_.vulkanMemoryModelDeviceScope = vk_bool(caps.memory_model);
    synchronization2_.synchronization2 = VK_TRUE;
    sizes_.subgroupSizeControl = vk_bool(caps.subgroup_size_control);
    sizes_.computeFullSubgroups = vk_bool(caps.full_subgroups);
    dots_.shaderIntegerDotProduct = VK_TRUE;
    matrix_.cooperativeMatrix = VK_TRUE;
    Chain chain(head_);
    chain.add(v11_);
    chain.add(v12_);
    chain.add(synchronization2_);
    if (caps.subgroup_size_control || caps.full_subgroups) chain.add(sizes_);
    if (caps.integer_dots) chain.add(dots_);
    if (!caps.matrix_shapes.empty()) chain.add(matrix_);
  }
  EnabledFeatures(const EnabledFeatures&) = delete;
  EnabledFeatures& operator=(const EnabledFeatures&) = delete;

  const VkPhysicalDeviceFeatures2* chain() const { return &head_; }

 private:
  VkPhysicalDeviceFeatures2 head_ =
      structure<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
  VkPhysicalDeviceVulkan11Features v11_ = structure<VkPhysicalDeviceVulkan11Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
  VkPhysicalDeviceVulkan12Features v12_ = structure<VkPhysicalDeviceVulkan12Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
  VkPhysicalDeviceSynchronization2Features synchronization2_ =
      structure<VkPhysicalDeviceSynchronization2Features>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES);
  VkPhysicalDeviceSubgroupSizeControlFeatures sizes_ =
      structure<VkPhysicalDeviceSubgroupSizeControlFeatures>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix_ =
      structure<VkPhysicalDeviceCooperativeMatrixFeaturesKHR>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR);
  VkPhysicalDeviceShaderIntegerDotProductFeatures dots_ =
      structure<VkPhysicalDeviceShaderIntegerDotProductFeatures>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES);
};

bool is_1_3(const DeviceCaps& caps) { return caps.api_version >= VK_API_VERSION_1_3; }

std::vector<const char*> enabled_extensions(const DeviceCaps& caps) {
  std::vector<const char*> names;
  if (!is_1_3(caps)) {
    names.push_back(VK_KHR_SYNCHRONIZATION_2_EXTENSION_NAME);
    if (caps.subgroup_size_control || caps.full_subgroups)
      names.push_back(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    if (caps.integer_dots) names.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
  }
  if (caps.memory_budget) names.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  if (!caps.matrix_shapes.empty()) names.push_back(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
  // Vulkan requires that this extension is enabled if the device has it.
  if (caps.portability_subset) names.push_back("VK_KHR_portability_subset");
  return names;
}

}  // namespace

Device::Device(const Instance& instance, VkPhysicalDevice physical, const DeviceCaps& caps)
    : instance_(instance), physical_(physical), caps_(caps), functions_(instance.functions()) {}

Device::Device(const Instance& instance, const Instance::PhysicalDevice& physical)
    : Device(instance, physical.handle, physical.caps) {
  const std::vector<std::string> missing = missing_of(caps_);
  if (!missing.empty())
    throw Error(ErrorKind::unsupported,
                fmt::format("vulkan device {} ({}) lacks {}; update its driver, or try another "
                            "device (bit-axon devices lists them)",
                            caps_.index, caps_.name, fmt::join(missing, ", ")));
  create();
  load_functions();
  if (instance.hook() != nullptr) instance.hook()(functions_);
  functions_.vkGetDeviceQueue(device_, static_cast<std::uint32_t>(caps_.compute_queue_family), 0,
                              &queue_);
}

void Device::create() {
  const float priority = 1;
  auto queue = structure<VkDeviceQueueCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO);
  queue.queueFamilyIndex = static_cast<std::uint32_t>(caps_.compute_queue_family);
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  const EnabledFeatures features(caps_);
  const std::vector<const char*> extensions = enabled_extensions(caps_);
  auto info = structure<VkDeviceCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO);
  info.pNext = features.chain();
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  VkDevice device = VK_NULL_HANDLE;
  check(functions_.vkCreateDevice(physical_, &info, nullptr, &device), "vkCreateDevice",
        caps_.name);
  device_ = device;  // only after the check, because a failed call may write to `device`
}

void Device::load_functions() {
  const auto load = [&](auto& pointer, const std::string& name) {
    using Pointer = std::remove_reference_t<decltype(pointer)>;
    pointer = reinterpret_cast<Pointer>(functions_.vkGetDeviceProcAddr(device_, name.c_str()));
    if (pointer == nullptr)
      throw Error(ErrorKind::device,
                  fmt::format("vulkan: the driver of {} lacks {}; update it", caps_.name, name));
  };
#define BX_LOAD(name) load(functions_.name, #name);
  // vkDestroyDevice comes first in this list, because the destructor needs it even if another
  // function is missing.
  BX_VK_DEVICE_FUNCTIONS(BX_LOAD)
#undef BX_LOAD
#define BX_LOAD(name) load(functions_.name, is_1_3(caps_) ? #name : #name "KHR");
  BX_VK_SYNCHRONIZATION2_FUNCTIONS(BX_LOAD)
#undef BX_LOAD
  if (!instance_.has_debug_utils()) return;
    // These functions belong to an instance extension, so the instance returns their pointers.
#define BX_LOAD(name) \
  functions_.name =   \
      reinterpret_cast<PFN_##name>(functions_.vkGetInstanceProcAddr(instance_.handle(), #name));
  BX_VK_OPTIONAL_DEVICE_FUNCTIONS(BX_LOAD)
#undef BX_LOAD
}

Device::~Device() {
  if (device_ != VK_NULL_HANDLE && functions_.vkDestroyDevice != nullptr)
    functions_.vkDestroyDevice(device_, nullptr);
}

std::vector<MemoryHeap> Device::heaps_now() const {
  return query_heaps(functions_, physical_, caps_);
}

void Device::wait_idle() const noexcept {
  // Nothing runs on a lost device, so there is no need to wait. A call that fails for lack of
  // memory returns without waiting, so it is repeated.
  constexpr int kAttempts = 100;
  for (int i = 0; i < kAttempts; ++i) {
    const VkResult result = functions_.vkDeviceWaitIdle(device_);
    if (result == VK_SUCCESS || result == VK_ERROR_DEVICE_LOST) return;
  }
}

void Device::set_name(VkObjectType type, std::uint64_t handle,
                      const std::string& name) const noexcept {
  if (functions_.vkSetDebugUtilsObjectNameEXT == nullptr) return;
  auto info =
      structure<VkDebugUtilsObjectNameInfoEXT>(VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT);
  info.objectType = type;
  info.objectHandle = handle;
  info.pObjectName = name.c_str();
  // Names are only for debugging, so an error is ignored.
  static_cast<void>(functions_.vkSetDebugUtilsObjectNameEXT(device_, &info));
}

}  // namespace bitaxon::vulkan
