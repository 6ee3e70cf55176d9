#include "fabricated.h"

#include <algorithm>
#include <cstring>

namespace bitaxon::vulkan::test {
namespace {

FakeDriver* driver = nullptr;

/// Calls fill(structure) for each structure of the type `type` in the pNext list that begins with
/// `head`.
template <class T, class Fill>
void fill_in(void* head, VkStructureType type, const Fill& fill) {
  for (auto* at = static_cast<VkBaseOutStructure*>(head); at != nullptr; at = at->pNext)
    if (at->sType == type) fill(*reinterpret_cast<T*>(at));
}

void note_asked(void* head) {
  for (auto* at = static_cast<VkBaseOutStructure*>(head)->pNext; at != nullptr; at = at->pNext)
    driver->asked.push_back(at->sType);
}

template <class T>
VkResult give(const std::vector<T>& all, std::uint32_t* n, T* items) {
  if (items != nullptr) std::copy_n(all.begin(), *n, items);
  *n = static_cast<std::uint32_t>(all.size());
  return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL instance_version(std::uint32_t* version) {
  *version = driver->loader_version;
  return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL properties(VkPhysicalDevice, VkPhysicalDeviceProperties2* out) {
  note_asked(out);
  VkPhysicalDeviceProperties& core = out->properties;
  std::strncpy(core.deviceName, driver->name.c_str(), sizeof(core.deviceName) - 1);
  core.apiVersion = driver->device_version;
  core.deviceType = driver->type;
  core.vendorID = driver->vendor;
  core.driverVersion = driver->driver_version;
  core.limits.maxStorageBufferRange = 1u << 27;
  core.limits.maxPerStageDescriptorStorageBuffers = 20;
  core.limits.maxDescriptorSetStorageBuffers = 16;
  core.limits.timestampPeriod = 2;
  fill_in<VkPhysicalDeviceVulkan11Properties>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, [](auto& v11) {
        v11.subgroupSize = 32;
        v11.subgroupSupportedStages = driver->subgroup_stages;
        v11.subgroupSupportedOperations = VK_SUBGROUP_FEATURE_BASIC_BIT;
        v11.maxMemoryAllocationSize = 1u << 30;
        v11.deviceUUID[0] = 0xab;
      });
  fill_in<VkPhysicalDeviceVulkan12Properties>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
      [](auto& v12) { std::strcpy(v12.driverName, driver->driver_name.c_str()); });
  fill_in<VkPhysicalDeviceSubgroupSizeControlProperties>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES, [](auto& sizes) {
        sizes.minSubgroupSize = 16;
        sizes.maxSubgroupSize = 64;
        sizes.requiredSubgroupSizeStages = VK_SHADER_STAGE_COMPUTE_BIT;
      });
  fill_in<VkPhysicalDeviceMaintenance4Properties>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES,
      [](auto& maintenance4) { maintenance4.maxBufferSize = 1u << 31; });
  fill_in<VkPhysicalDevicePCIBusInfoPropertiesEXT>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT, [](auto& pci) {
        pci.pciDomain = 1;
        pci.pciBus = 0x65;
        pci.pciDevice = 0xa;
        pci.pciFunction = 2;
      });
}

VKAPI_ATTR void VKAPI_CALL features(VkPhysicalDevice, VkPhysicalDeviceFeatures2* out) {
  note_asked(out);
  fill_in<VkPhysicalDeviceVulkan11Features>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
      [](auto& v11) { v11.storageBuffer16BitAccess = VK_TRUE; });
  fill_in<VkPhysicalDeviceVulkan12Features>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, [](auto& v12) {
        v12.bufferDeviceAddress = VK_TRUE;
        v12.vulkanMemoryModel = VK_TRUE;
        v12.vulkanMemoryModelDeviceScope = VK_TRUE;
      });
  fill_in<VkPhysicalDeviceSynchronization2Features>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES,
      [](auto& synchronization2) { synchronization2.synchronization2 = VK_TRUE; });
  fill_in<VkPhysicalDeviceSubgroupSizeControlFeatures>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES, [](auto& sizes) {
        sizes.subgroupSizeControl = driver->has_subgroup_size_control_feature ? VK_TRUE : VK_FALSE;
      });
  fill_in<VkPhysicalDeviceCooperativeMatrixFeaturesKHR>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
      [](auto& matrix) { matrix.cooperativeMatrix = VK_TRUE; });
}

VKAPI_ATTR void VKAPI_CALL memory(VkPhysicalDevice, VkPhysicalDeviceMemoryProperties2* out) {
  note_asked(out);
  VkPhysicalDeviceMemoryProperties& all = out->memoryProperties;
  all.memoryHeapCount = 2;
  all.memoryHeaps[0] = {1u << 30, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
  all.memoryHeaps[1] = {1u << 31, 0};
  all.memoryTypeCount = 1;
  all.memoryTypes[0] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
  fill_in<VkPhysicalDeviceMemoryBudgetPropertiesEXT>(
      out, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT, [](auto& budget) {
        budget.heapBudget[0] = 1000;
        budget.heapUsage[0] = 400;
        budget.heapBudget[1] = 1000;
        budget.heapUsage[1] = 1001;
      });
}

VKAPI_ATTR void VKAPI_CALL queue_families(VkPhysicalDevice, std::uint32_t* n,
                                          VkQueueFamilyProperties2* items) {
  for (std::uint32_t i = 0; items != nullptr && i < *n; ++i)
    items[i].queueFamilyProperties = driver->families[i];
  *n = static_cast<std::uint32_t>(driver->families.size());
}

VKAPI_ATTR VkResult VKAPI_CALL extensions(VkPhysicalDevice, const char*, std::uint32_t* n,
                                          VkExtensionProperties* items) {
  std::vector<VkExtensionProperties> all(driver->extensions.size());
  for (std::size_t i = 0; i < all.size(); ++i)
    std::strncpy(all[i].extensionName, driver->extensions[i].c_str(),
                 sizeof(all[i].extensionName) - 1);
  return give(all, n, items);
}

VKAPI_ATTR VkResult VKAPI_CALL products(VkPhysicalDevice, std::uint32_t* n,
                                        VkCooperativeMatrixPropertiesKHR* items) {
  return give(driver->products, n, items);
}

}  // namespace

DeviceCaps plain_device(std::uint32_t index, DeviceType type) {
  DeviceCaps caps;
  caps.index = index;
  caps.name = "Fake GPU " + std::to_string(index);
  caps.type = type;
  caps.api_version = VK_API_VERSION_1_2;
  caps.device_uuid.fill(static_cast<std::uint8_t>(0xa0 + index));
  caps.pci_address = "000" + std::to_string(index) + ":65:00.0";
  caps.buffer_device_address = true;
  caps.timeline_semaphore = true;
  caps.synchronization2 = true;
  caps.scalar_block_layout = true;
  caps.subgroup_operations = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_VOTE_BIT |
                             VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  caps.compute_queue_family = 0;
  caps.max_storage_buffers = kMaxBindings;
  caps.max_push_bytes = kMaxPushBytes;
  caps.max_group_invocations = kMinGroupInvocations;
  caps.max_group_size = {kMinGroupInvocations, 1, 1};
  caps.max_shared_bytes = kMinSharedBytes;
  return caps;
}

Functions FakeDriver::functions() {
  driver = this;
  Functions fn;
  fn.vkEnumerateInstanceVersion = instance_version;
  fn.vkGetPhysicalDeviceProperties2 = vulkan::test::properties;
  fn.vkGetPhysicalDeviceFeatures2 = vulkan::test::features;
  fn.vkGetPhysicalDeviceMemoryProperties2 = memory;
  fn.vkGetPhysicalDeviceQueueFamilyProperties2 = queue_families;
  fn.vkEnumerateDeviceExtensionProperties = vulkan::test::extensions;
  fn.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR = vulkan::test::products;
  return fn;
}

}  // namespace bitaxon::vulkan::test
