// Tests of which drivers are loaded: where their manifests are found, and which drivers pass a
// trial.
#include "vulkan/drivers/drivers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "environment.h"
#include "support/errors.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "vulkan/device/instance.h"
#include "vulkan/drivers/driver_files.h"
#include "vulkan/drivers/driver_record.h"

namespace bitaxon::vulkan::test {
namespace {

using bitaxon::test::expect_error;
using bitaxon::test::TemporaryFolder;
using std::filesystem::path;

using Paths = std::vector<path>;

/// A fake machine that loads drivers.
///   - It crashes if it loads a driver in `bad`, or more than one driver in `enemies`.
///   - It lists no device at all if it loads a driver in `hiding`.
///   - Otherwise it lists one device per loaded driver, except for drivers in `without_hardware`.
struct FakeMachine {
  Paths installed;
  std::set<path> bad = {};
  std::set<path> enemies = {};
  std::set<path> hiding = {};
  std::set<path> without_hardware = {};
  bool bad_layer = false;
  int n_tries = 0;

  TrialResult operator()(const DriverTrial& trial) {
    ++n_tries;
    if (bad_layer && trial.with_layers) return {"it crashes", 0};
    const Paths loaded = trial.manifests.value_or(installed);
    const auto count = [&](const std::set<path>& names) {
      return std::count_if(loaded.begin(), loaded.end(),
                           [&](const path& name) { return names.contains(name); });
    };
    if (count(bad) > 0 || count(enemies) > 1) return {"it crashes", 0};
    if (count(hiding) > 0) return {"", 0};
    return {"", static_cast<int>(loaded.size()) - static_cast<int>(count(without_hardware))};
  }

  Drivers sort_out() { return sort_out_drivers(installed, std::ref(*this)); }
};

Paths rejected_of(const Drivers& drivers) {
  Paths manifests;
  for (const RejectedDriver& driver : drivers.rejected) manifests.push_back(driver.manifest);
  return manifests;
}

TEST(SortOutDrivers, TriesOnceIfAllDriversWork) {
  FakeMachine machine{.installed = {"a", "b", "c"}};
  const Drivers drivers = machine.sort_out();
  EXPECT_FALSE(drivers.manifests);
  EXPECT_TRUE(drivers.rejected.empty());
  EXPECT_EQ(drivers.problem, "");
  EXPECT_EQ(machine.n_tries, 1);
}

TEST(SortOutDrivers, LeavesOutACrashingDriver) {
  for (const path bad : {"a", "b", "c"}) {
    FakeMachine machine{.installed = {"a", "b", "c"}, .bad = {bad}};
    const Drivers drivers = machine.sort_out();
    EXPECT_EQ(rejected_of(drivers), Paths{bad});
    ASSERT_TRUE(drivers.manifests);
    EXPECT_EQ(drivers.manifests->size(), 2U);
    EXPECT_EQ(drivers.problem, "");
    EXPECT_EQ(machine.n_tries, 4);
  }
}

TEST(SortOutDrivers, KeepsTheFirstOfTwoDriversThatCrashTogether) {
  FakeMachine machine{.installed = {"a", "b", "c"}, .enemies = {"a", "c"}};
  const Drivers drivers = machine.sort_out();
  EXPECT_EQ(rejected_of(drivers), Paths{"c"});
  EXPECT_EQ(drivers.manifests, (Paths{"a", "b"}));
}

TEST(SortOutDrivers, DoesNotUseVulkanIfAllDriversCrash) {
  FakeMachine machine{.installed = {"/a.json", "/b.json"}, .bad = {"/a.json", "/b.json"}};
  const Drivers drivers = machine.sort_out();
  EXPECT_EQ(
      drivers.problem,
      "the Vulkan driver /a.json cannot be used: it crashes; the Vulkan driver /b.json cannot "
      "be used: it crashes");
  expect_error([&] { Instance(nullptr, nullptr, default_loader_names(), drivers); },
               ErrorKind::unsupported, {"/a.json cannot be used: it crashes"});
}

TEST(SortOutDrivers, DoesNotBlameDriversForALayer) {
  FakeMachine machine{.installed = {"a", "b"}, .bad_layer = true};
  const Drivers drivers = machine.sort_out();
  EXPECT_TRUE(drivers.rejected.empty());
  EXPECT_FALSE(drivers.manifests);
  EXPECT_FALSE(drivers.with_layers);
  EXPECT_EQ(drivers.problem, "");
  EXPECT_EQ(drivers.warning, "Vulkan layers are left out: with them it crashes");
}

TEST(SortOutDrivers, FindsABadDriverInAdditionToABadLayer) {
  FakeMachine machine{.installed = {"a", "b"}, .bad = {"b"}, .bad_layer = true};
  const Drivers drivers = machine.sort_out();
  EXPECT_EQ(rejected_of(drivers), Paths{"b"});
  EXPECT_EQ(drivers.manifests, Paths{"a"});
  EXPECT_FALSE(drivers.with_layers);
}

TEST(SortOutDrivers, LeavesOutADriverThatHidesTheOthers) {
  FakeMachine machine{.installed = {"a", "b", "c"}, .hiding = {"a"}, .without_hardware = {"b"}};
  const Drivers drivers = machine.sort_out();
  EXPECT_EQ(drivers.manifests, Paths{"c"});
  EXPECT_NE(drivers.warning.find("only c is used"), std::string::npos) << drivers.warning;
}

TEST(SortOutDrivers, AcceptsDriversWithoutHardware) {
  FakeMachine machine{.installed = {"a", "b"}, .without_hardware = {"a", "b"}};
  const Drivers drivers = machine.sort_out();
  EXPECT_FALSE(drivers.manifests);
  EXPECT_EQ(drivers.problem + drivers.warning, "");
  EXPECT_EQ(machine.n_tries, 3);
}

TEST(SortOutDrivers, BlamesTheLoaderForACrashWithoutDrivers) {
  const Drivers drivers = sort_out_drivers({}, [](const DriverTrial&) {
    return TrialResult{"it crashes", 0};
  });
  EXPECT_EQ(drivers.problem, "the Vulkan loader cannot be used: it crashes");
}

TEST(SortOutDrivers, LeavesOutADriverThatOnlyTheLoaderFinds) {
  FakeMachine machine{.installed = {"a", "found by the loader alone"},
                      .bad = {"found by the loader alone"}};
  const Drivers drivers = sort_out_drivers({"a"}, std::ref(machine));
  EXPECT_EQ(drivers.problem, "");
  EXPECT_EQ(drivers.manifests, Paths{"a"});
  EXPECT_EQ(drivers.warning,
            "of the Vulkan drivers only a is used: with all that the loader finds it crashes");
}

class DriverManifests : public testing::Test {
 protected:
  path add(const std::string& name) {
    const path file = folder_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << R"({"ICD": {"library_path": "./lib.so"}})";
    return file;
  }

  TemporaryFolder folder_;
  std::string root_ = folder_.path().string();
  EnvironmentVariable home_{"HOME", root_};
  EnvironmentVariable config_home_{"XDG_CONFIG_HOME", ""};
  EnvironmentVariable config_dirs_{"XDG_CONFIG_DIRS", root_ + "/config"};
  EnvironmentVariable data_home_{"XDG_DATA_HOME", root_ + "/data home"};
  EnvironmentVariable data_dirs_{"XDG_DATA_DIRS", root_ + "/data::" + root_ + "/more"};
  EnvironmentVariable add_{"VK_ADD_DRIVER_FILES", root_ + "/added/x.json:" + root_ + "/folder"};
};

TEST_F(DriverManifests, AreFoundInUserAndSystemFolders) {
  const Paths expected = {add(".config/vulkan/icd.d/a.json"),
                          add("config/vulkan/icd.d/b.json"),
                          add("data home/vulkan/icd.d/c.json"),
                          add("data/vulkan/icd.d/d.json"),
                          add("more/vulkan/icd.d/e.json"),
                          add("added/x.json"),
                          add("folder/y.json")};
  add("data/vulkan/icd.d/readme.txt");
  add(".local/share/vulkan/icd.d/not.json");  // XDG_DATA_HOME replaces this folder
  const Paths found = driver_manifests();
  for (const path& file : expected)
    EXPECT_NE(std::find(found.begin(), found.end(), file), found.end()) << file;
  const auto below = [&](const path& file) { return file.string().starts_with(root_ + "/"); };
  EXPECT_EQ(static_cast<std::size_t>(std::count_if(found.begin(), found.end(), below)),
            expected.size());
}

TEST_F(DriverManifests, NamedInTheEnvironmentReplaceAllOthers) {
  const Paths named = {add("named/1.json"), add("named/2.json"), add("other.json")};
  const EnvironmentVariable old_name("VK_ICD_FILENAMES", root_ + "/other.json");
  EXPECT_EQ(driver_manifests(), Paths{named[2]});
  const EnvironmentVariable new_name("VK_DRIVER_FILES", root_ + "/named");
  EXPECT_EQ(driver_manifests(), (Paths{named[0], named[1]}));
  const EnvironmentVariable empty("VK_DRIVER_FILES", "");
  EXPECT_EQ(driver_manifests(), Paths());
}

TEST_F(DriverManifests, TrialCircumstancesChangeWithFilesAndEnvironment) {
  const Paths manifests = {add("a.json")};
  const std::string before = driver_circumstances(manifests);
  EXPECT_EQ(driver_circumstances(manifests), before);
  std::ofstream(folder_ / "lib.so") << "new";
  const std::string with_library = driver_circumstances(manifests);
  EXPECT_NE(with_library, before);
  std::ofstream(folder_ / "a.json", std::ios::app) << "\n";
  EXPECT_NE(driver_circumstances(manifests), with_library);
  const std::string after = driver_circumstances(manifests);
  const EnvironmentVariable other("VK_LOADER_DRIVERS_DISABLE", "*radeon*");
  EXPECT_NE(driver_circumstances(manifests), after);
}

TEST(DriverRecord, KeepsTheLatestResults) {
  const TemporaryFolder folder;
  const path file = folder / "new folder/record.json";
  EXPECT_FALSE(read_record(file, "0"));
  Drivers drivers;
  drivers.manifests = Paths{"a"};
  drivers.rejected = {{"b", "it crashes"}};
  drivers.problem = "a problem";
  drivers.with_layers = false;
  write_record(file, "0", drivers);
  write_record(file, "1", {});
  const std::optional<Drivers> kept = read_record(file, "0");
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->manifests, drivers.manifests);
  EXPECT_EQ(kept->rejected_text(), "the Vulkan driver b cannot be used: it crashes");
  EXPECT_EQ(kept->problem, "a problem");
  EXPECT_FALSE(kept->with_layers);
  ASSERT_TRUE(read_record(file, "1"));
  EXPECT_FALSE(read_record(file, "1")->manifests);
  for (int i = 2; i < 20; ++i) write_record(file, std::to_string(i), {});
  EXPECT_FALSE(read_record(file, "0")) << "the oldest result is dropped";
  EXPECT_TRUE(read_record(file, "19"));
}

TEST(Instance, LoadsOnlyTheNamedDrivers) {
  Drivers none;
  none.manifests = Paths{"/no/such/driver.json"};
  expect_error([&] { Instance(nullptr, nullptr, default_loader_names(), none); },
               ErrorKind::unsupported, {"no Vulkan driver"});
  EXPECT_FALSE(Instance().devices().empty()) << "the environment was not restored";
}

}  // namespace
}  // namespace bitaxon::vulkan::test
