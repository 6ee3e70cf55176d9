#include "vulkan/device/device_caps.h"

#include <fmt/format.h>

#include <algorithm>

#include "platform/host_memory.h"
#include "platform/printable.h"
#include "vulkan/device/enumerate.h"
#include "vulkan/device/structure.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint32_t kAmd = 0x1002;
constexpr std::uint32_t kIntel = 0x8086;

DeviceType type_of(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return DeviceType::discrete;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return DeviceType::integrated;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return DeviceType::virtual_gpu;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return DeviceType::cpu;
    default:
      return DeviceType::other;
  }
}

/// Whether the structures of an extension may be queried. This holds if the device lists the
/// extension, or if its Vulkan version is at least `since_version`, in which the extension became
/// core.
bool has(const DeviceCaps& caps, std::string_view extension, std::uint32_t since_version) {
  return caps.api_version >= since_version || caps.has_extension(extension);
}

void set_limits(DeviceCaps& caps, const VkPhysicalDeviceLimits& limits) {
  caps.max_storage_buffer_bytes = limits.maxStorageBufferRange;
  caps.max_allocations = limits.maxMemoryAllocationCount;
  caps.max_storage_buffers =
      std::min(limits.maxPerStageDescriptorStorageBuffers, limits.maxDescriptorSetStorageBuffers);
  caps.max_push_bytes = limits.maxPushConstantsSize;
  caps.max_shared_bytes = limits.maxComputeSharedMemorySize;
  caps.max_group_invocations = limits.maxComputeWorkGroupInvocations;
  std::copy_n(limits.maxComputeWorkGroupSize, 3, caps.max_group_size.begin());
  std::copy_n(limits.maxComputeWorkGroupCount, 3, caps.max_group_count.begin());
  caps.timestamp_period_ns = static_cast<double>(limits.timestampPeriod);
}

/// Queries the properties that every device has. One of them is the Vulkan version, which decides
/// what else may be queried.
void query_core_properties(const Functions& fn, VkPhysicalDevice physical, DeviceCaps& caps) {
  auto properties =
      structure<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2);
  fn.vkGetPhysicalDeviceProperties2(physical, &properties);
  const VkPhysicalDeviceProperties& core = properties.properties;
  std::uint32_t loader_version = VK_API_VERSION_1_0;
  if (fn.vkEnumerateInstanceVersion != nullptr)
    check(fn.vkEnumerateInstanceVersion(&loader_version), "vkEnumerateInstanceVersion",
          "Vulkan loader");
  caps.name = printable(core.deviceName);
  caps.type = type_of(core.deviceType);
  caps.vendor_id = core.vendorID;
  caps.device_id = core.deviceID;
  caps.api_version = std::min(core.apiVersion, loader_version);
  caps.driver_version = core.driverVersion;
  std::copy_n(core.pipelineCacheUUID, VK_UUID_SIZE, caps.cache_uuid.begin());
  set_limits(caps, core.limits);
}

void set_subgroups(DeviceCaps& caps, const VkPhysicalDeviceVulkan11Properties& properties) {
  caps.subgroup_size = properties.subgroupSize;
  caps.min_subgroup_size = caps.max_subgroup_size = properties.subgroupSize;
  if ((properties.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0)
    caps.subgroup_operations = properties.subgroupSupportedOperations;
}

std::string pci_text(const VkPhysicalDevicePCIBusInfoPropertiesEXT& pci) {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", pci.pciDomain, pci.pciBus, pci.pciDevice,
                     pci.pciFunction);
}

void query_properties(const Functions& fn, VkPhysicalDevice physical, DeviceCaps& caps) {
  auto properties =
      structure<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2);
  auto v11 = structure<VkPhysicalDeviceVulkan11Properties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
  auto v12 = structure<VkPhysicalDeviceVulkan12Properties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES);
  auto sizes = structure<VkPhysicalDeviceSubgroupSizeControlProperties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES);
  auto maintenance4 = structure<VkPhysicalDeviceMaintenance4Properties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES);
  auto pci = structure<VkPhysicalDevicePCIBusInfoPropertiesEXT>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT);
  const bool has_sizes = has(caps, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, VK_API_VERSION_1_3);
  const bool has_maintenance4 = has(caps, VK_KHR_MAINTENANCE_4_EXTENSION_NAME, VK_API_VERSION_1_3);
  auto dots = structure<VkPhysicalDeviceShaderIntegerDotProductProperties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES);
  const bool has_dots =
      has(caps, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, VK_API_VERSION_1_3);
  const bool has_pci = caps.has_extension(VK_EXT_PCI_BUS_INFO_EXTENSION_NAME);
  Chain chain(properties);
  chain.add(v11);
  chain.add(v12);
  if (has_sizes) chain.add(sizes);
  if (has_maintenance4) chain.add(maintenance4);
  if (has_pci) chain.add(pci);
  if (has_dots) chain.add(dots);
  fn.vkGetPhysicalDeviceProperties2(physical, &properties);

  caps.driver_name = printable(v12.driverName);
  caps.driver_info = printable(v12.driverInfo);
  caps.fast_integer_dots = dots.integerDotProduct4x8BitPackedSignedAccelerated == VK_TRUE;
  std::copy_n(v11.deviceUUID, VK_UUID_SIZE, caps.device_uuid.begin());
  std::copy_n(v11.driverUUID, VK_UUID_SIZE, caps.driver_uuid.begin());
  set_subgroups(caps, v11);
  if (has_sizes && (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0) {
    caps.subgroup_size_control = true;  // query_features() sets it to false if the feature is off
    caps.min_subgroup_size = sizes.minSubgroupSize;
    caps.max_subgroup_size = sizes.maxSubgroupSize;
  }
  caps.max_allocation_bytes = v11.maxMemoryAllocationSize;
  caps.max_buffer_bytes =
      has_maintenance4 ? maintenance4.maxBufferSize : v11.maxMemoryAllocationSize;
  if (has_pci) caps.pci_address = pci_text(pci);
}

/// Queries the features. Returns whether the device has matrix units, whose shapes
/// query_matrix_shapes() then queries.
bool query_features(const Functions& fn, VkPhysicalDevice physical, DeviceCaps& caps) {
  auto features =
      structure<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
  auto v11 = structure<VkPhysicalDeviceVulkan11Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
  auto v12 = structure<VkPhysicalDeviceVulkan12Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
  auto synchronization2 = structure<VkPhysicalDeviceSynchronization2Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES);
  auto sizes = structure<VkPhysicalDeviceSubgroupSizeControlFeatures>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
  auto matrix = structure<VkPhysicalDeviceCooperativeMatrixFeaturesKHR>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR);
  auto dots = structure<VkPhysicalDeviceShaderIntegerDotProductFeatures>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES);
  Chain chain(features);
  chain.add(v11);
  chain.add(v12);
  if (has(caps, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, VK_API_VERSION_1_3))
    chain.add(dots);
  if (has(caps, VK_KHR_SYNCHRONIZATION_2_EXTENSION_NAME, VK_API_VERSION_1_3))
    chain.add(synchronization2);
  if (has(caps, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, VK_API_VERSION_1_3)) chain.add(sizes);
  if (caps.has_extension(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) chain.add(matrix);
  fn.vkGetPhysicalDeviceFeatures2(physical, &features);

  caps.buffer_device_address = v12.bufferDeviceAddress == VK_TRUE;
  caps.timeline_semaphore = v12.timelineSemaphore == VK_TRUE;
  caps.scalar_block_layout = v12.scalarBlockLayout == VK_TRUE;
  caps.synchronization2 = synchronization2.synchronization2 == VK_TRUE;
  caps.shader_float16 = v12.shaderFloat16 == VK_TRUE;
  caps.storage_16bit = v11.storageBuffer16BitAccess == VK_TRUE;
  // If the memory model is enabled without its device scope, Vulkan forbids even the atomics of
  // plain GLSL. So a memory model without device scope counts as missing.
  caps.memory_model =
      v12.vulkanMemoryModel == VK_TRUE && v12.vulkanMemoryModelDeviceScope == VK_TRUE;
  caps.full_subgroups = sizes.computeFullSubgroups == VK_TRUE;
  caps.integer_dots = dots.shaderIntegerDotProduct == VK_TRUE;
  if (!caps.integer_dots) caps.fast_integer_dots = false;
  // All AMD devices with subgroups of 32 (RDNA) have v_fma_mix_f32. Earlier ones (GCN) have subgroups
  // of 64, and most of them lack it.
  caps.mixed_products = caps.vendor_id == kAmd && caps.min_subgroup_size == 32;
  caps.few_registers = caps.vendor_id == kAmd && caps.min_subgroup_size == 64;
  // A processor converts halves to float32 to multiply them, most devices of GCN multiply only one pair
  // at a time, and Intel's compiler takes pairs apart and then runs out of registers.
  if (caps.vendor_id == kIntel) caps.lane_registers = 128;
  caps.packed_halves = caps.shader_float16 && caps.type != DeviceType::cpu && !caps.few_registers &&
                       caps.vendor_id != kIntel;
  caps.float16_tiles = caps.packed_halves;
  caps.doubles_float16 = caps.vendor_id == kAmd && caps.driver_name == "radv" &&
                         caps.driver_version < VK_MAKE_API_VERSION(0, 25, 0, 0);
  if (sizes.subgroupSizeControl == VK_FALSE) {
    caps.subgroup_size_control = false;
    caps.min_subgroup_size = caps.max_subgroup_size = caps.subgroup_size;
  }
  return matrix.cooperativeMatrix == VK_TRUE;
}

/// Why the matrix units that the driver offers are not used. Empty if they may be used.
///
/// Before Mesa 26, Intel's driver offers matrix units on devices without them, and computes with other
/// instructions: it takes as long as float32, and large tiles do not fit into the registers. It offers
/// sums of bytes that saturate only there, because the units do not compute these. (Meteor Lake has no
/// units either and cannot be told apart, but tiles are measured before they are used.)
///
/// llvmpipe of Mesa 26 lays out a matrix for subgroups of 8, and crashes with larger ones.
std::string refusal_of_matrix_units(const DeviceCaps& caps,
                                    const std::vector<VkCooperativeMatrixPropertiesKHR>& products) {
  if (caps.vendor_id == kIntel && caps.driver_name == "Intel open-source Mesa driver" &&
      caps.driver_version < VK_MAKE_API_VERSION(0, 26, 0, 0) &&
      std::ranges::any_of(products, &VkCooperativeMatrixPropertiesKHR::saturatingAccumulation))
    return "the driver only emulates them";
  if (caps.driver_name == "llvmpipe" && caps.subgroup_size > 8)
    return "the driver crashes with subgroups of more than 8";
  return "";
}

void query_matrix_shapes(const Functions& fn, VkPhysicalDevice physical, DeviceCaps& caps) {
  // A layer may report the feature but lack the function.
  if (fn.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR == nullptr) return;
  const auto empty = structure<VkCooperativeMatrixPropertiesKHR>(
      VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR);
  const auto products = enumerate<VkCooperativeMatrixPropertiesKHR>(
      "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR", caps.name,
      [&](std::uint32_t* n, VkCooperativeMatrixPropertiesKHR* items) {
        return fn.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(physical, n, items);
      },
      empty);
  if (!products.empty()) caps.matrix_refusal = refusal_of_matrix_units(caps, products);
  if (!caps.matrix_refusal.empty()) return;
  for (const VkCooperativeMatrixPropertiesKHR& product : products)
    if (product.AType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
        product.BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
        product.CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
        product.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
        product.scope == VK_SCOPE_SUBGROUP_KHR)
      caps.matrix_shapes.push_back({product.MSize, product.NSize, product.KSize});
}

/// Chooses the first queue family that has compute and timestamps but no graphics, because few other
/// programs use such a family. Otherwise chooses the first family that has compute.
void query_queue_family(const Functions& fn, VkPhysicalDevice physical, DeviceCaps& caps) {
  std::uint32_t n = 0;
  fn.vkGetPhysicalDeviceQueueFamilyProperties2(physical, &n, nullptr);
  std::vector<VkQueueFamilyProperties2> families(
      n, structure<VkQueueFamilyProperties2>(VK_STRUCTURE_TYPE_QUEUE_FAMILY_PROPERTIES_2));
  fn.vkGetPhysicalDeviceQueueFamilyProperties2(physical, &n, families.data());
  bool found_without_graphics = false;
  for (std::uint32_t i = 0; i < n && !found_without_graphics; ++i) {
    const VkQueueFamilyProperties& family = families[i].queueFamilyProperties;
    if (family.queueCount == 0 || (family.queueFlags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
    found_without_graphics =
        (family.queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0 && family.timestampValidBits > 0;
    if (caps.compute_queue_family >= 0 && !found_without_graphics) continue;
    caps.compute_queue_family = static_cast<std::int32_t>(i);
    caps.timestamp_bits = family.timestampValidBits;
  }
  caps.timestamps = caps.timestamp_bits > 0 && caps.timestamp_period_ns > 0;
}

void query_memory_types(const Functions& fn, VkPhysicalDevice physical, DeviceCaps& caps) {
  auto memory = structure<VkPhysicalDeviceMemoryProperties2>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2);
  fn.vkGetPhysicalDeviceMemoryProperties2(physical, &memory);
  for (std::uint32_t i = 0; i < memory.memoryProperties.memoryTypeCount; ++i) {
    const VkMemoryType& type = memory.memoryProperties.memoryTypes[i];
    caps.memory_types.push_back({type.heapIndex, type.propertyFlags});
  }
}

}  // namespace

std::string_view name_of(DeviceType type) {
  switch (type) {
    case DeviceType::discrete:
      return "discrete";
    case DeviceType::integrated:
      return "integrated";
    case DeviceType::virtual_gpu:
      return "virtual";
    case DeviceType::cpu:
      return "cpu";
    case DeviceType::other:
      break;
  }
  return "other";
}

std::string version_text(std::uint32_t api_version) {
  return fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(api_version),
                     VK_API_VERSION_MINOR(api_version), VK_API_VERSION_PATCH(api_version));
}

std::string uuid_text(const std::array<std::uint8_t, VK_UUID_SIZE>& uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i)
    text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
  return text;
}

bool DeviceCaps::has_extension(std::string_view extension) const {
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

std::vector<MemoryHeap> query_heaps(const Functions& fn, VkPhysicalDevice physical,
                                    const DeviceCaps& caps) {
  auto memory = structure<VkPhysicalDeviceMemoryProperties2>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2);
  auto budget = structure<VkPhysicalDeviceMemoryBudgetPropertiesEXT>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
  Chain chain(memory);
  if (caps.memory_budget) chain.add(budget);
  fn.vkGetPhysicalDeviceMemoryProperties2(physical, &memory);
  const auto system = caps.type == DeviceType::cpu ? available_memory_bytes() : std::nullopt;
  std::vector<MemoryHeap> heaps;
  for (std::uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; ++i) {
    const VkMemoryHeap& heap = memory.memoryProperties.memoryHeaps[i];
    MemoryHeap& added = heaps.emplace_back();
    added.size_bytes = added.available_bytes = heap.size;
    added.device_local = (heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
    // The budget counts memory that this process has already allocated, so this memory is
    // subtracted.
    if (caps.memory_budget)
      added.available_bytes =
          budget.heapBudget[i] - std::min(budget.heapBudget[i], budget.heapUsage[i]);
    if (system) added.available_bytes = *system;
  }
  return heaps;
}

DeviceCaps query_caps(const Functions& fn, VkPhysicalDevice physical, std::uint32_t index) {
  DeviceCaps caps;
  caps.index = index;
  query_core_properties(fn, physical, caps);
  const auto extensions = enumerate<VkExtensionProperties>(
      "vkEnumerateDeviceExtensionProperties", caps.name,
      [&](std::uint32_t* n, VkExtensionProperties* items) {
        return fn.vkEnumerateDeviceExtensionProperties(physical, nullptr, n, items);
      });
  for (const VkExtensionProperties& extension : extensions)
    caps.extensions.emplace_back(extension.extensionName);
  caps.memory_budget = caps.has_extension(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  // A literal, because the headers define a macro for this name only with provisional extensions.
  caps.portability_subset = caps.has_extension("VK_KHR_portability_subset");
  // A device below Vulkan 1.2 does not know the structures that the functions below query. Such a
  // device is listed, but cannot be used.
  if (caps.api_version >= VK_API_VERSION_1_2) {
    query_properties(fn, physical, caps);
    if (query_features(fn, physical, caps)) query_matrix_shapes(fn, physical, caps);
  }
  query_queue_family(fn, physical, caps);
  query_memory_types(fn, physical, caps);
  caps.heaps = query_heaps(fn, physical, caps);
  return caps;
}

}  // namespace bitaxon::vulkan
