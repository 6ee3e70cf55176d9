// Tests of how a device is queried and how the answers are read.
#include <gtest/gtest.h>

#include <algorithm>

#include "fabricated.h"
#include "vulkan/device/device_caps.h"
#include "vulkan/device/floor.h"
#include "vulkan/device/structure.h"

namespace bitaxon::vulkan::test {
namespace {

constexpr VkQueueFlags kGraphics = VK_QUEUE_GRAPHICS_BIT;
constexpr VkQueueFlags kCompute = VK_QUEUE_COMPUTE_BIT;

VkQueueFamilyProperties family(VkQueueFlags flags, std::uint32_t timestamp_bits,
                               std::uint32_t n_queues = 1) {
  return {flags, n_queues, timestamp_bits, {1, 1, 1}};
}

DeviceCaps caps_of(FakeDriver& driver) { return query_caps(driver.functions(), nullptr, 3); }

bool was_asked(const FakeDriver& driver, VkStructureType type) {
  return std::find(driver.asked.begin(), driver.asked.end(), type) != driver.asked.end();
}

TEST(Caps, ReadsTheAnswersOfTheDriver) {
  FakeDriver driver;
  driver.extensions = {"VK_EXT_pci_bus_info", "VK_EXT_memory_budget", "VK_KHR_portability_subset"};
  driver.families = {family(kCompute, 36)};
  const DeviceCaps caps = caps_of(driver);
  EXPECT_EQ(caps.index, 3u);
  EXPECT_EQ(caps.name, "Fake GPU");
  EXPECT_EQ(caps.driver_name, "fake\\u{1b} driver");
  EXPECT_EQ(caps.type, DeviceType::discrete);
  EXPECT_EQ(caps.api_version, VK_API_VERSION_1_3);
  EXPECT_EQ(caps.device_uuid[0], 0xab);
  EXPECT_EQ(caps.pci_address, "0001:65:0a.2");
  EXPECT_EQ(caps.subgroup_size, 32u);
  EXPECT_EQ(caps.min_subgroup_size, 16u);
  EXPECT_EQ(caps.max_subgroup_size, 64u);
  EXPECT_TRUE(caps.subgroup_size_control);
  EXPECT_FALSE(caps.full_subgroups);
  EXPECT_EQ(caps.subgroup_operations, VkFlags{VK_SUBGROUP_FEATURE_BASIC_BIT});
  EXPECT_EQ(caps.max_storage_buffer_bytes, 1u << 27);
  EXPECT_EQ(caps.max_storage_buffers, 16u);
  EXPECT_EQ(caps.max_allocation_bytes, 1u << 30);
  EXPECT_EQ(caps.max_buffer_bytes, 1u << 31);
  EXPECT_TRUE(caps.buffer_device_address);
  EXPECT_TRUE(caps.synchronization2);
  EXPECT_FALSE(caps.timeline_semaphore);
  EXPECT_TRUE(caps.storage_16bit);
  EXPECT_TRUE(caps.memory_model);
  EXPECT_FALSE(caps.shader_float16);
  EXPECT_TRUE(caps.memory_budget);
  EXPECT_TRUE(caps.portability_subset);
  EXPECT_TRUE(caps.timestamps);
  EXPECT_EQ(caps.timestamp_bits, 36u);
  EXPECT_EQ(caps.timestamp_period_ns, 2);
  ASSERT_EQ(caps.heaps.size(), 2u);
  EXPECT_TRUE(caps.heaps[0].device_local);
  EXPECT_FALSE(caps.heaps[1].device_local);
  EXPECT_EQ(caps.heaps[0].available_bytes, 600u);
  EXPECT_EQ(caps.heaps[1].available_bytes, 0u) << "the usage exceeds the budget";
  ASSERT_EQ(caps.memory_types.size(), 1u);
  EXPECT_TRUE(caps.matrix_shapes.empty());
}

TEST(Caps, QueriesOnlyWhatTheDeviceSupports) {
  FakeDriver driver;
  driver.device_version = VK_API_VERSION_1_2;
  const DeviceCaps plain = caps_of(driver);
  EXPECT_EQ(driver.asked, (std::vector{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
                                       VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
                                       VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                       VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES}));
  EXPECT_FALSE(plain.synchronization2);
  EXPECT_FALSE(plain.subgroup_size_control);
  EXPECT_EQ(plain.min_subgroup_size, 32u);
  EXPECT_EQ(plain.max_subgroup_size, 32u);
  EXPECT_EQ(plain.max_buffer_bytes, plain.max_allocation_bytes);
  EXPECT_EQ(plain.pci_address, "");
  EXPECT_EQ(plain.heaps.at(0).available_bytes, plain.heaps.at(0).size_bytes);

  driver.extensions = {"VK_KHR_synchronization2", "VK_EXT_subgroup_size_control",
                       "VK_KHR_maintenance4"};
  const DeviceCaps extended = caps_of(driver);
  EXPECT_TRUE(extended.synchronization2);
  EXPECT_TRUE(extended.subgroup_size_control);
  EXPECT_EQ(extended.max_buffer_bytes, 1u << 31);
}

TEST(Caps, AnOldLoaderLimitsTheVersionOfADevice) {
  FakeDriver driver;
  driver.loader_version = VK_API_VERSION_1_2;
  EXPECT_EQ(caps_of(driver).api_version, VK_API_VERSION_1_2);
  EXPECT_FALSE(was_asked(driver, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES));
}

TEST(Caps, AnOldDeviceIsListed) {
  FakeDriver driver;
  driver.device_version = VK_API_VERSION_1_1;
  driver.families = {family(kCompute, 64)};
  const DeviceCaps caps = caps_of(driver);
  EXPECT_EQ(driver.asked, std::vector<VkStructureType>());
  EXPECT_EQ(caps.name, "Fake GPU");
  EXPECT_EQ(caps.heaps.size(), 2u);
  EXPECT_EQ(missing_of(caps), std::vector<std::string>{"Vulkan 1.2 (has 1.1.0)"});
}

TEST(Caps, SubgroupSizeControlNeedsItsFeature) {
  FakeDriver driver;
  driver.has_subgroup_size_control_feature = false;
  const DeviceCaps caps = caps_of(driver);
  EXPECT_FALSE(caps.subgroup_size_control);
  EXPECT_EQ(caps.min_subgroup_size, 32u);
  EXPECT_EQ(caps.max_subgroup_size, 32u);
}

TEST(Caps, IgnoresSubgroupOperationsOfOtherShaderStages) {
  FakeDriver driver;
  driver.subgroup_stages = VK_SHADER_STAGE_FRAGMENT_BIT;
  EXPECT_EQ(caps_of(driver).subgroup_operations, 0u);
}

TEST(Caps, ChoosesAComputeQueueFamily) {
  struct Case {
    std::vector<VkQueueFamilyProperties> families;
    std::int32_t chosen;
    bool timestamps;
  };
  const std::vector<Case> cases = {
      {{}, -1, false},
      {{family(kGraphics, 64)}, -1, false},
      {{family(kCompute, 64, 0)}, -1, false},
      {{family(kGraphics, 64), family(kGraphics | kCompute, 64)}, 1, true},
      {{family(kGraphics | kCompute, 64), family(kCompute, 64)}, 1, true},
      {{family(kGraphics | kCompute, 64), family(kCompute, 0)}, 0, true},
      {{family(kCompute, 64), family(kCompute, 64), family(kGraphics | kCompute, 64)}, 0, true},
      {{family(kCompute, 0)}, 0, false},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    FakeDriver driver;
    driver.families = cases[i].families;
    const DeviceCaps caps = caps_of(driver);
    EXPECT_EQ(caps.compute_queue_family, cases[i].chosen);
    EXPECT_EQ(caps.timestamps, cases[i].timestamps);
  }
}

TEST(Caps, ListsOnlyUsableMatrixShapes) {
  const VkCooperativeMatrixPropertiesKHR good{VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR,
                                              nullptr,
                                              16,
                                              8,
                                              32,
                                              VK_COMPONENT_TYPE_FLOAT16_KHR,
                                              VK_COMPONENT_TYPE_FLOAT16_KHR,
                                              VK_COMPONENT_TYPE_FLOAT32_KHR,
                                              VK_COMPONENT_TYPE_FLOAT32_KHR,
                                              VK_FALSE,
                                              VK_SCOPE_SUBGROUP_KHR};
  FakeDriver driver;
  driver.products.assign(6, good);
  driver.products[1].AType = VK_COMPONENT_TYPE_SINT8_KHR;
  driver.products[2].BType = VK_COMPONENT_TYPE_SINT8_KHR;
  driver.products[3].CType = VK_COMPONENT_TYPE_FLOAT16_KHR;
  driver.products[4].ResultType = VK_COMPONENT_TYPE_FLOAT16_KHR;
  driver.products[5].scope = VK_SCOPE_WORKGROUP_KHR;
  EXPECT_TRUE(caps_of(driver).matrix_shapes.empty()) << "without the extension";
  driver.extensions = {"VK_KHR_cooperative_matrix"};
  const DeviceCaps caps = caps_of(driver);
  ASSERT_EQ(caps.matrix_shapes.size(), 1u);
  EXPECT_EQ(caps.matrix_shapes[0].m, 16u);
  EXPECT_EQ(caps.matrix_shapes[0].n, 8u);
  EXPECT_EQ(caps.matrix_shapes[0].k, 32u);
}

/// A product of halves on matrix units, with sums of float32.
VkCooperativeMatrixPropertiesKHR product_of_halves() {
  auto product = structure<VkCooperativeMatrixPropertiesKHR>(
      VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR);
  product.MSize = product.NSize = 8;
  product.KSize = 16;
  product.AType = product.BType = VK_COMPONENT_TYPE_FLOAT16_KHR;
  product.CType = product.ResultType = VK_COMPONENT_TYPE_FLOAT32_KHR;
  product.scope = VK_SCOPE_SUBGROUP_KHR;
  return product;
}

TEST(Caps, IntelsEmulatedMatrixUnitsDoNotCount) {
  FakeDriver driver;
  driver.extensions = {"VK_KHR_cooperative_matrix"};
  driver.products.assign(2, product_of_halves());
  driver.products[1].AType = driver.products[1].BType = VK_COMPONENT_TYPE_SINT8_KHR;
  driver.products[1].saturatingAccumulation = VK_TRUE;
  EXPECT_FALSE(caps_of(driver).matrix_shapes.empty()) << "of another vendor";
  EXPECT_EQ(caps_of(driver).lane_registers, 256u);
  driver.vendor = 0x8086;
  driver.driver_name = "Intel open-source Mesa driver";
  driver.driver_version = VK_MAKE_API_VERSION(0, 25, 0, 7);
  const DeviceCaps caps = caps_of(driver);
  EXPECT_TRUE(caps.matrix_shapes.empty());
  EXPECT_EQ(caps.matrix_refusal, "the driver only emulates them");
  EXPECT_EQ(caps.lane_registers, 128u);
  driver.products[1].saturatingAccumulation = VK_FALSE;
  EXPECT_FALSE(caps_of(driver).matrix_shapes.empty()) << "real units do not saturate";
  driver.products[1].saturatingAccumulation = VK_TRUE;
  driver.driver_version = VK_MAKE_API_VERSION(0, 26, 0, 0);
  EXPECT_FALSE(caps_of(driver).matrix_shapes.empty()) << "this driver offers only real ones";
}

TEST(Caps, MatrixUnitsOfLlvmpipeNeedSubgroupsOfEight) {
  FakeDriver driver;
  driver.extensions = {"VK_KHR_cooperative_matrix"};
  driver.products = {product_of_halves()};
  driver.driver_name = "llvmpipe";
  EXPECT_TRUE(caps_of(driver).matrix_shapes.empty()) << "subgroups have 32 invocations";
  EXPECT_NE(caps_of(driver).matrix_refusal, "");
  driver.driver_name = "another";
  EXPECT_FALSE(caps_of(driver).matrix_shapes.empty());
}

TEST(Caps, CpuDevicesReportTheSystemsMemory) {
  FakeDriver driver;
  driver.type = VK_PHYSICAL_DEVICE_TYPE_CPU;
  const DeviceCaps caps = caps_of(driver);
  EXPECT_EQ(caps.type, DeviceType::cpu);
  EXPECT_NE(caps.heaps.at(0).available_bytes, caps.heaps.at(0).size_bytes);
}

TEST(Caps, HaveReadableNames) {
  EXPECT_EQ(name_of(DeviceType::discrete), "discrete");
  EXPECT_EQ(name_of(DeviceType::integrated), "integrated");
  EXPECT_EQ(name_of(DeviceType::virtual_gpu), "virtual");
  EXPECT_EQ(name_of(DeviceType::cpu), "cpu");
  EXPECT_EQ(name_of(DeviceType::other), "other");
  EXPECT_EQ(version_text(VK_MAKE_API_VERSION(0, 1, 3, 230)), "1.3.230");
  EXPECT_EQ(uuid_text(plain_device(1, DeviceType::discrete).device_uuid),
            "a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1");
}

}  // namespace
}  // namespace bitaxon::vulkan::test
