// Tests of which device is chosen, and of the reason that is given for each device.
#include "vulkan/device/device_choice.h"

#include <gtest/gtest.h>

#include "fabricated.h"
#include "vulkan/device/floor.h"

namespace bitaxon::vulkan::test {
namespace {

using Devices = std::vector<DeviceCaps>;
constexpr auto kNone = std::optional<std::size_t>();

Devices devices_of(const std::vector<DeviceType>& types) {
  Devices devices;
  for (const DeviceType type : types)
    devices.push_back(plain_device(static_cast<std::uint32_t>(devices.size()), type));
  return devices;
}

/// Chooses a device and checks what must be true of every choice.
DeviceChoice choose(const Devices& devices, const std::string& selector = "") {
  DeviceChoice choice = choose_device(devices, selector);
  EXPECT_EQ(choice.verdicts.size(), devices.size());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    EXPECT_EQ(choice.verdicts[i].usable, missing_of(devices[i]).empty()) << i;
    EXPECT_NE(choice.verdicts[i].reason, "") << i;
  }
  EXPECT_TRUE(!choice.chosen || choice.verdicts[*choice.chosen].usable);
  return choice;
}

void expect_holds(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text << "\nshould hold: " << part;
}

TEST(DeviceChoice, ReportsThatThereAreNoDevices) {
  EXPECT_EQ(choose({}).chosen, kNone);
  EXPECT_EQ(choose({}, "0").chosen, kNone);
  expect_holds(problem_of(choose({}), {}, ""), "no Vulkan device: install mesa-vulkan-drivers");
}

TEST(DeviceChoice, PrefersDeviceTypesInOrder) {
  const auto [discrete, integrated, virtual_gpu, cpu, other] =
      std::tuple(DeviceType::discrete, DeviceType::integrated, DeviceType::virtual_gpu,
                 DeviceType::cpu, DeviceType::other);
  EXPECT_EQ(choose(devices_of({cpu, other, virtual_gpu, integrated, discrete})).chosen, 4u);
  EXPECT_EQ(choose(devices_of({cpu, other, virtual_gpu, integrated})).chosen, 3u);
  EXPECT_EQ(choose(devices_of({cpu, other, virtual_gpu})).chosen, 2u);
  EXPECT_EQ(choose(devices_of({cpu, other})).chosen, kNone);
  EXPECT_EQ(choose(devices_of({discrete, integrated})).chosen, 0u);

  const DeviceChoice choice = choose(devices_of({cpu, integrated, discrete, other}));
  EXPECT_EQ(choice.verdicts[0].reason, "its type is cpu: only when named");
  EXPECT_EQ(choice.verdicts[1].reason,
            "vulkan:2 is preferred: its type is discrete, before integrated");
  EXPECT_EQ(choice.verdicts[2].reason, "the most preferred GPU (discrete)");
  EXPECT_EQ(choice.verdicts[3].reason, "its type is other: only when named");
}

TEST(DeviceChoice, NamesTheOnlyUsableGpu) {
  const DeviceChoice choice = choose(devices_of({DeviceType::cpu, DeviceType::integrated}));
  EXPECT_EQ(choice.verdicts[1].reason, "the only usable GPU (integrated)");
}

TEST(DeviceChoice, TiesGoToTheMoreCapableThenToTheFirst) {
  Devices devices = devices_of({DeviceType::discrete, DeviceType::discrete, DeviceType::discrete});
  EXPECT_EQ(choose(devices).chosen, 0u);
  expect_holds(choose(devices).verdicts[1].reason, "of equals the first");

  devices[1].subgroup_size_control = true;
  EXPECT_EQ(choose(devices).chosen, 1u);
  expect_holds(choose(devices).verdicts[0].reason, "its subgroup size can be set");

  devices[2].matrix_shapes = {{16, 16, 16}};
  EXPECT_EQ(choose(devices).chosen, 2u);
  expect_holds(choose(devices).verdicts[1].reason, "it has matrix units");

  // The amount of memory plays no role. The type of a device counts more than its capabilities.
  devices[0].heaps = {{std::uint64_t{1} << 40, std::uint64_t{1} << 40, true}};
  EXPECT_EQ(choose(devices).chosen, 2u);
  devices[2].type = DeviceType::integrated;
  EXPECT_EQ(choose(devices).chosen, 1u);
}

TEST(DeviceChoice, TiesGoToTheLowerIndexNotToTheFirstEntry) {
  Devices devices = devices_of({DeviceType::discrete, DeviceType::discrete});
  std::swap(devices[0], devices[1]);
  EXPECT_EQ(choose(devices).chosen, 1u);
}

TEST(DeviceChoice, RejectsUnusableDevicesAndNamesWhatTheyLack) {
  Devices devices = devices_of({DeviceType::discrete, DeviceType::integrated});
  devices[0].timeline_semaphore = false;
  devices[0].max_push_bytes = 64;
  const DeviceChoice choice = choose(devices);
  EXPECT_EQ(choice.chosen, 1u);
  EXPECT_EQ(choice.verdicts[0].reason,
            "cannot be used: lacks timelineSemaphore, maxPushConstantsSize 128 (has 64)");
  expect_holds(choice.verdicts[1].reason, "the only usable GPU");

  devices[1].api_version = VK_API_VERSION_1_1;
  EXPECT_EQ(choose(devices).chosen, kNone);
  const std::string problem = problem_of(choose(devices), devices, "");
  expect_holds(problem, "vulkan: no GPU that can be used; ");
  expect_holds(problem, "vulkan:0 (Fake GPU 0): cannot be used: lacks timelineSemaphore");
  expect_holds(problem, "vulkan:1 (Fake GPU 1): cannot be used: lacks Vulkan 1.2 (has 1.1.0)");
}

TEST(DeviceChoice, TreatsPortabilityDevicesLikeOthers) {
  Devices devices = devices_of({DeviceType::integrated, DeviceType::integrated});
  devices[0].portability_subset = true;
  EXPECT_EQ(choose(devices).chosen, 0u);
}

TEST(DeviceChoice, AcceptsSelectorsOfEachKind) {
  Devices devices = devices_of({DeviceType::discrete, DeviceType::cpu, DeviceType::integrated});
  devices[1].name = "llvmpipe (LLVM 15.0.6, 256 bits)";
  devices[2].pci_address = "0000:c1:00.0";
  const std::vector<std::pair<std::string, std::size_t>> cases = {
      {"0", 0},
      {"1", 1},
      {"2", 2},
      {"02", 2},
      {"0000:65:00.0", 0},
      {"0001:65:00.0", 1},
      {"0000:C1:00.0", 2},
      {"c1:00.0", 2},
      {"a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1", 1},
      {"A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2", 2},
      {"llvmpipe", 1},
      {"LLVM 15", 1},
      {"GPU 2", 2},
      {"256", 1},  // too large for an index, so it is part of a name
  };
  for (const auto& [selector, expected] : cases) {
    SCOPED_TRACE(selector);
    const DeviceChoice choice = choose(devices, selector);
    EXPECT_EQ(choice.chosen, expected);
    EXPECT_EQ(choice.verdicts[expected].reason, "named \"" + selector + "\"");
    for (std::size_t i = 0; i < devices.size(); ++i)
      if (i != expected) {
        EXPECT_EQ(choice.verdicts[i].reason, "not \"" + selector + "\"");
      }
  }
}

TEST(DeviceChoice, AShortNumberIsAnIndexNotPartOfAName) {
  Devices devices = devices_of({DeviceType::discrete, DeviceType::cpu});
  devices[0].name = "RTX 3060";
  devices[1].name = "llvmpipe (LLVM 15.0.6, 256 bits)";
  for (const std::string selector : {"2", "6", "15", "60"})
    EXPECT_EQ(choose(devices, selector).chosen, kNone) << selector;
  EXPECT_EQ(choose(devices, "3060").chosen, 0U);
}

TEST(DeviceChoice, ReportsSelectorsThatMatchNothing) {
  const Devices devices = devices_of({DeviceType::discrete});
  for (const std::string selector :
       {"1", "-1", "+0", "99999999999", "radeon", "65:00.1", ":65:00.0", "5:00.0",
        "a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0", "65:00", "auto"}) {
    SCOPED_TRACE(selector);
    const DeviceChoice choice = choose(devices, selector);
    EXPECT_EQ(choice.chosen, kNone);
    EXPECT_EQ(problem_of(choice, devices, selector),
              "vulkan:" + selector + ": no usable device; vulkan:0 (Fake GPU 0): not \"" +
                  selector + "\"");
  }
}

TEST(DeviceChoice, AnIndexOrAPciAddressWinsOverAName) {
  Devices devices = devices_of({DeviceType::discrete, DeviceType::discrete});
  devices[0].name = "GPU 1";
  EXPECT_EQ(choose(devices, "1").chosen, 1u) << "an index wins over a name";
  devices[0].name = "0001:65:00.0";
  EXPECT_EQ(choose(devices, "0001:65:00.0").chosen, 1u) << "a PCI address wins over a name";
}

TEST(DeviceChoice, TakesTheFirstOfSeveralMatches) {
  Devices devices = devices_of({DeviceType::cpu, DeviceType::discrete, DeviceType::discrete});
  devices[0].name = "Other";
  const DeviceChoice choice = choose(devices, "fake");
  EXPECT_EQ(choice.chosen, 1u);
  EXPECT_EQ(choice.verdicts[0].reason, "not \"fake\"");
  EXPECT_EQ(choice.verdicts[1].reason, "named \"fake\", the first of 2 with this name");
  EXPECT_EQ(choice.verdicts[2].reason, "vulkan:1 comes first of those that are \"fake\"");
  EXPECT_EQ(choose(devices, "65:00.0").chosen, 0u) << "a PCI address without a domain";
}

TEST(DeviceChoice, DoesNotReplaceANamedUnusableDevice) {
  Devices devices = devices_of({DeviceType::discrete, DeviceType::discrete});
  devices[0].scalar_block_layout = false;
  for (const std::string selector : {"0", "fake"}) {
    const DeviceChoice choice = choose(devices, selector);
    EXPECT_EQ(choice.chosen, kNone);
    expect_holds(choice.verdicts[0].reason, "cannot be used: lacks scalarBlockLayout");
    expect_holds(choice.verdicts[0].reason, "named \"" + selector + "\"");
    expect_holds(problem_of(choice, devices, selector), "lacks scalarBlockLayout");
  }
}

}  // namespace
}  // namespace bitaxon::vulkan::test
