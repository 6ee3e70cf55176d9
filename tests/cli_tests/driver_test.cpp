// How the program handles Vulkan drivers that crash, hang or end the program.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model_folder.h"
#include "platform/paths.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

/// The manifest of llvmpipe, Mesa's software driver, which computes on the CPU.
fs::path healthy_manifest() {
  for (const auto& entry : fs::directory_iterator("/usr/share/vulkan/icd.d"))
    if (entry.path().filename().string().starts_with("lvp_icd")) return entry.path();
  throw std::runtime_error("install mesa-vulkan-drivers");
}

/// The path of llvmpipe's library, in a form that the dynamic linker accepts.
fs::path healthy_library() {
  const fs::path manifest = healthy_manifest();
  const fs::path library =
      parse_json(read_file(manifest), "manifest")["ICD"]["library_path"].get<std::string>();
  return library.has_parent_path() ? manifest.parent_path() / library : library;
}

/// A folder for the fake drivers of a test, and an empty cache.
class Drivers : public testing::Test {
 protected:
  /// Makes a driver that does `act` in `function`, such as "crash" in "vkCreateDevice" (see
  /// fake_driver.cpp). Returns the path of its manifest.
  fs::path add(const std::string& act, const std::string& function) {
    const std::string name = act + "_in_" + function;
    fs::copy_file(executable_path().parent_path() / "fake_driver.so", folder_ / (name + ".so"));
    const Json manifest = {
        {"file_format_version", "1.0.0"},
        {"ICD", {{"library_path", "./" + name + ".so"}, {"api_version", "1.3.0"}}}};
    write_file(folder_ / (name + ".json"), manifest.dump());
    return folder_ / (name + ".json");
  }

  /// Surroundings in which the program sees only these drivers.
  Surroundings with(const std::vector<fs::path>& manifests) const {
    std::vector<std::string> names;
    for (const fs::path& manifest : manifests) names.push_back(manifest.string());
    const std::string list = fmt::format("{}", fmt::join(names, ":"));
    Surroundings surroundings;
    surroundings.environment = {{"VK_DRIVER_FILES", list},
                                {"VK_ICD_FILENAMES", list},
                                {"BX_WRAPPED_DRIVER", healthy_library().string()},
                                {"XDG_CACHE_HOME", (folder_ / "cache").string()},
                                // Stops sanitizers from handling the crash.
                                {"ASAN_OPTIONS", "handle_segv=0:handle_abort=0"}};
    return surroundings;
  }

  fs::path record() const { return folder_ / "cache" / "bit-axon" / "vulkan-drivers.json"; }

  TemporaryFolder folder_;
};

Json entry_of(const Json& list, const std::string& selector) {
  for (const Json& device : list)
    if (device["selector"] == selector) return device;
  return nullptr;
}

/// Expects that `devices --json` lists the driver as unusable and that `auto` chooses the CPU.
void expect_rejected(const Json& list, const fs::path& manifest, const std::string& problem) {
  const Json driver = entry_of(list, "vulkan:" + manifest.stem().string());
  ASSERT_FALSE(driver.is_null()) << list;
  EXPECT_EQ(driver["usable"], false);
  EXPECT_EQ(driver["chosen_by_auto"], false);
  EXPECT_EQ(driver["type"], "driver");
  EXPECT_EQ(driver["driver_manifest"], manifest.string());
  EXPECT_NE(driver["reason"].get<std::string>().find(problem), std::string::npos) << driver;
  const Json cpu = entry_of(list, "cpu");
  EXPECT_EQ(cpu["chosen_by_auto"], true);
  for (const std::string& part : {manifest.string(), problem})
    EXPECT_NE(cpu["reason"].get<std::string>().find(part), std::string::npos) << cpu;
}

bool has_llvmpipe(const Json& list) {
  return std::any_of(list.begin(), list.end(), [](const Json& device) {
    return device["name"].get<std::string>().starts_with("llvmpipe") && device["usable"];
  });
}

class CrashingDriver : public Drivers, public testing::WithParamInterface<const char*> {};

TEST_P(CrashingDriver, IsLeftOutAndTheOthersAreUsed) {
  const fs::path manifest = add("crash", GetParam());
  const Json list = run_json({"devices", "--json"}, "", with({manifest, healthy_manifest()}));
  expect_rejected(list, manifest, "it crashes (Segmentation fault)");
  EXPECT_TRUE(has_llvmpipe(list)) << list;
}

INSTANTIATE_TEST_SUITE_P(In, CrashingDriver,
                         testing::Values("load", "negotiation",
                                         "vkEnumerateInstanceExtensionProperties",
                                         "vkCreateInstance", "vkEnumeratePhysicalDevices",
                                         "vkGetPhysicalDeviceProperties2",
                                         "vkGetPhysicalDeviceMemoryProperties2", "vkCreateDevice",
                                         "vkGetDeviceQueue", "vkAllocateMemory",
                                         "vkCreateComputePipelines", "vkQueueSubmit2",
                                         "vkDestroyDevice", "vkDestroyInstance", "unload"),
                         [](const auto& parameter) { return std::string(parameter.param); });

TEST_F(Drivers, ThatAbortOrExitAreLeftOut) {
  const fs::path aborts = add("abort", "vkCreateInstance");
  const fs::path exits = add("exit", "vkEnumeratePhysicalDevices");
  const Json list = run_json({"devices", "--json"}, "", with({aborts, exits, healthy_manifest()}));
  expect_rejected(list, aborts, "it crashes (Aborted) while its devices are listed");
  expect_rejected(list, exits, "it ends the program (exit status 3) while its devices are listed");
  EXPECT_TRUE(has_llvmpipe(list)) << list;
}

/// The loader lists no devices at all if one driver fails to list its devices.
TEST_F(Drivers, ThatFailToListTheirDevicesAreLeftOut) {
  const fs::path manifest = add("fail", "vkEnumeratePhysicalDevices");
  const Json list = run_json({"devices", "--json"}, "", with({manifest, healthy_manifest()}));
  expect_rejected(list, manifest, "it fails: vulkan: vkEnumeratePhysicalDevices");
  EXPECT_TRUE(has_llvmpipe(list)) << list;
  EXPECT_FALSE(fs::exists(record())) << "the next run may have enough memory";
}

/// The loader reports that there is no device if one driver refuses to list its devices.
TEST_F(Drivers, ThatRefuseToListTheirDevicesDoNotHideTheOthers) {
  const fs::path manifest = add("refuse", "vkEnumeratePhysicalDevices");
  const Finished finished = run_well({"devices"}, "", with({manifest, healthy_manifest()}));
  EXPECT_NE(finished.out.find("llvmpipe"), std::string::npos) << finished.describe();
}

TEST_F(Drivers, ALayerThatCrashesIsLeftOut) {
  const fs::path driver = add("crash", "load");
  const fs::path folder = folder_ / "data/vulkan/implicit_layer.d";
  fs::create_directories(folder);
  const Json layer = {{"name", "VK_LAYER_BX_crash"},
                      {"type", "GLOBAL"},
                      {"library_path", fs::path(driver).replace_extension(".so").string()},
                      {"api_version", "1.3.0"},
                      {"implementation_version", "1"},
                      {"description", "crashes"},
                      {"disable_environment", {{"BX_NO_LAYER", "1"}}}};
  write_file(folder / "crash.json",
             Json({{"file_format_version", "1.0.0"}, {"layer", layer}}).dump());
  Surroundings surroundings = with({healthy_manifest()});
  surroundings.environment["XDG_DATA_DIRS"] = (folder_ / "data").string();
  const Finished finished = run_well({"devices"}, "", surroundings);
  EXPECT_NE(finished.out.find("llvmpipe"), std::string::npos) << finished.describe();
  EXPECT_NE(finished.err.find("warning: Vulkan layers are left out: with them it crashes"),
            std::string::npos)
      << finished.err;
  // Disables the layer; now the drivers are tried again.
  surroundings.environment["BX_NO_LAYER"] = "1";
  EXPECT_EQ(run_well({"devices"}, "", surroundings).err, "");
}

TEST_F(Drivers, ThatHangAreLeftOut) {
  const fs::path manifest = add("hang", "vkCreateInstance");
  Surroundings surroundings = with({manifest});
  surroundings.environment["BIT_AXON_PROBE_SECONDS"] = "1";
  expect_rejected(run_json({"devices", "--json"}, "", surroundings), manifest,
                  "it hangs (no answer in 1 s) while its devices are listed");
}

TEST_F(Drivers, RefusesATimeLimitThatIsNotANumber) {
  Surroundings surroundings = with({healthy_manifest()});
  for (const char* limit : {"abc", "0", "-1", "1s"}) {
    surroundings.environment["BIT_AXON_PROBE_SECONDS"] = limit;
    const Finished finished = run({"devices"}, "", surroundings);
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.err, fmt::format("bit-axon: BIT_AXON_PROBE_SECONDS: expected a whole number "
                                        "of seconds > 0, got \"{}\"\n",
                                        limit));
  }
}

TEST_F(Drivers, AutoContinuesWithTheCpu) {
  const Surroundings surroundings = with({add("crash", "vkEnumeratePhysicalDevices")});
  const Finished finished =
      run_well({"run", "--seed", "1", "--max-tokens", "3", "ROMEO:"}, "", surroundings);
  EXPECT_NE(finished.out, "");
  EXPECT_NE(
      finished.err.find("crash_in_vkEnumeratePhysicalDevices.json cannot be used: it crashes"),
      std::string::npos)
      << finished.err;
  const Finished inspected = run_well({"inspect"}, "", surroundings);
  EXPECT_NE(inspected.out.find("vulkan:crash_in_vkEnumeratePhysicalDevices"), std::string::npos)
      << inspected.out;
  const Finished devices = run_well({"devices"}, "", surroundings);
  EXPECT_NE(devices.out.find("vulkan:crash_in_vkEnumeratePhysicalDevices  (unusable)\n"),
            std::string::npos)
      << devices.out;
  EXPECT_EQ(devices.err, "");
}

TEST_F(Drivers, NamingABadDriverIsAnError) {
  const fs::path manifest = add("crash", "vkEnumeratePhysicalDevices");
  for (const Surroundings& surroundings : {with({manifest}), with({manifest, healthy_manifest()})})
    for (const char* device : {"vulkan", "vulkan:1", "vulkan:vkEnumeratePhysicalDevices"}) {
      const Finished refused =
          run({"run", "--quiet", "--max-tokens", "1", "--device", device, "a"}, "", surroundings);
      EXPECT_EQ(refused.status, 1) << refused.describe();
      EXPECT_EQ(refused.out, "");
      ASSERT_EQ(refused.err_lines().size(), 1U) << refused.err;
      EXPECT_NE(refused.err.find(manifest.string() + " cannot be used: it crashes"),
                std::string::npos)
          << refused.err;
    }
}

TEST_F(Drivers, AHealthyDriverComputesDespiteOneThatCrashes) {
  const Finished finished =
      run_well({"run", "--quiet", "--prompt-ids", "1,2", "--max-tokens", "1", "--device",
                "vulkan:llvmpipe", "-m", golden_model(kSmallestModel).string()},
               "", with({add("crash", "vkCreateDevice"), healthy_manifest()}));
  EXPECT_NE(finished.out, "");
}

TEST_F(Drivers, AreTriedOnceUntilTheyChange) {
  const fs::path manifest = add("crash", "vkCreateInstance");
  Surroundings surroundings = with({manifest, healthy_manifest()});
  const fs::path loads = folder_ / "loads";
  surroundings.environment["BX_FAKE_DRIVER_LOADS"] = loads.string();
  expect_rejected(run_json({"devices", "--json"}, "", surroundings), manifest, "it crashes");
  const std::string first = read_file(loads);
  EXPECT_NE(first, "");
  expect_rejected(run_json({"devices", "--json"}, "", surroundings), manifest, "it crashes");
  EXPECT_EQ(read_file(loads), first) << "a driver was loaded again: " << read_file(record());
  // First the manifest names another library, then the crashing library again.
  add("crash", "nothing");
  const std::string text = read_file(manifest);
  std::string other = text;
  other.replace(other.find("crash_in_vkCreateInstance"), 25, "crash_in_nothing");
  write_file(manifest, other);
  const Json list = run_json({"devices", "--json"}, "", surroundings);
  EXPECT_TRUE(entry_of(list, "vulkan:crash_in_vkCreateInstance").is_null()) << list;
  write_file(manifest, text);
  expect_rejected(run_json({"devices", "--json"}, "", surroundings), manifest, "it crashes");
}

TEST_F(Drivers, AnUnreadableRecordIsReplaced) {
  const fs::path manifest = add("crash", "vkCreateInstance");
  for (const char* text : {"", "{", "[1, {\"key\": 1}]", "{\"a\": 1}"}) {
    fs::create_directories(record().parent_path());
    write_file(record(), text);
    expect_rejected(run_json({"devices", "--json"}, "", with({manifest})), manifest, "it crashes");
    EXPECT_GT(read_file(record()).size(), 100U);
  }
}

TEST_F(Drivers, AreTriedEachTimeWithoutAWritableCache) {
  const fs::path manifest = add("crash", "vkCreateInstance");
  write_file(folder_ / "cache", "no folder");
  expect_rejected(run_json({"devices", "--json"}, "", with({manifest})), manifest, "it crashes");
}

TEST_F(Drivers, AreTrustedWithoutTheHelperProgram) {
  Surroundings surroundings = with({healthy_manifest()});
  for (const char* probe : {"/no/such/program", "/bin/true", "/etc/passwd"}) {
    surroundings.environment["BIT_AXON_PROBE"] = probe;
    const Finished finished = run_well({"devices"}, "", surroundings);
    EXPECT_NE(finished.out.find("llvmpipe"), std::string::npos) << finished.describe();
    ASSERT_EQ(finished.err_lines().size(), 1U) << finished.describe();
    EXPECT_NE(finished.err.find("warning: Vulkan drivers have not been tried"), std::string::npos);
    EXPECT_NE(finished.err.find(probe), std::string::npos) << finished.err;
    EXPECT_FALSE(fs::exists(record()));
  }
  surroundings.environment["BIT_AXON_PROBE"] = "off";
  EXPECT_EQ(run_well({"devices"}, "", surroundings).err, "");
}

}  // namespace
}  // namespace bitaxon::test
