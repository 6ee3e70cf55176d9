// Tests of the output of --version, --help, `devices` and `inspect`.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

const Arguments kCommands = {"run",     "chat",       "logits",    "compare",      "tokenize",
                             "inspect", "detokenize", "devices",   "download",     "quantize",
                             "merge",   "evaluate",   "benchmark", "port-weights", "upload",
                             "train",   "prepare",    "pipeline",  "doctor"};

TEST(InformationCli, EveryCommandHasAVersion) {
  const Finished version = run_well({"--version"});
  EXPECT_EQ(version.out.rfind("bit-axon ", 0), 0U) << version.out;
  EXPECT_EQ(version.err, "");
  for (const std::string& command : kCommands) {
    SCOPED_TRACE(command);
    const Finished same = run_well({command, "--version"});
    EXPECT_EQ(same.out, version.out);
    EXPECT_EQ(run_well({command, "-V"}).out, version.out);
    EXPECT_EQ(same.err, "");
  }
}

TEST(InformationCli, EveryCommandHasHelp) {
  const Finished help = run_well({"--help"});
  EXPECT_EQ(help.err, "");
  for (const std::string& command : kCommands) {
    SCOPED_TRACE(command);
    EXPECT_NE(help.out.find("\n  " + command + " "), std::string::npos) << help.out;
    const Finished one = run_well({command, "--help"});
    EXPECT_EQ(one.err, "");
    EXPECT_NE(one.out.find("bit-axon " + command), std::string::npos) << one.out;
    EXPECT_EQ(run_well({command, "-h"}).out, one.out);
    EXPECT_EQ(run_well({"--help", command}).out, one.out);
  }
  const std::string run_help = run_well({"run", "--help"}).out;
  for (const char* flag : {"--max-tokens",   "--temperature",  "--top-k",
                           "--top-p",        "--min-p",        "--repetition-penalty",
                           "--seed",         "--stop",         "--run-ahead",
                           "--ignore-eos",   "--no-stream",    "--json",
                           "--save-state",   "--load-state",   "--chat",
                           "--system",       "--messages",     "--prompt-ids",
                           "--device",       "--precision",    "--threads",
                           "--quiet",        "--verbose",      "--tokenizer",
                           "--config-small", "--chat-template"})
    EXPECT_NE(run_help.find(flag), std::string::npos) << flag;
}

TEST(InformationCli, DevicesListsTheCpu) {
  const Json list = run_json({"devices", "--json"});
  ASSERT_TRUE(list.is_array());
  int n_auto = 0;
  std::vector<std::string> selectors;
  for (const Json& device : list) {
    for (const char* key : {"selector", "name", "type", "reason"})
      EXPECT_FALSE(device[key].get<std::string>().empty()) << device;
    selectors.push_back(device["selector"]);
    n_auto += device["chosen_by_auto"].get<bool>() ? 1 : 0;
  }
  EXPECT_EQ(n_auto, 1);
  for (const char* wanted : {"cpu", "reference"})
    EXPECT_NE(std::find(selectors.begin(), selectors.end(), wanted), selectors.end()) << wanted;
  const Finished table = run_well({"devices"});
  EXPECT_EQ(table.err, "");
  for (const std::string& selector : selectors)
    EXPECT_NE(table.out.find(selector), std::string::npos) << table.out;
  for (const Json& device : list) {
    const auto set = device["instruction_set"].get<std::string>();
    EXPECT_TRUE(set.empty() || device["selector"] == "cpu") << device;
    EXPECT_NE(table.out.find(set), std::string::npos) << table.out;
  }
}

bool has_vulkan() { return run_well({"--version"}).out.find("vulkan") != std::string::npos; }

TEST(InformationCli, DevicesListsVulkanDevices) {
  const Finished table = run_well({"devices"});
  int n_vulkan = 0;
  for (const Json& device : run_json({"devices", "--json"})) {
    if (device["selector"].get<std::string>().rfind("vulkan:", 0) != 0) continue;
    SCOPED_TRACE(device.dump());
    EXPECT_EQ(device["selector"], fmt::format("vulkan:{}", n_vulkan));
    EXPECT_EQ(device["vulkan_index"], n_vulkan++);
    EXPECT_EQ(device["threads"], 0);
    EXPECT_EQ(device["uuid"].get<std::string>().size(), 36u);
    EXPECT_GT(device["memory_total_bytes"], 0);
    EXPECT_EQ(device["limits"].size(), 10u);
    EXPECT_EQ(device["features"].size(), 13u);
    for (const char* key : {"name", "driver", "api_version", "uuid", "reason"})
      EXPECT_NE(table.out.find(device[key].get<std::string>()), std::string::npos) << key;
    if (device["type"] == "cpu") {
      EXPECT_EQ(device["chosen_by_auto"], false);
      EXPECT_EQ(device["reason"], "its type is cpu: only when named");
    }
  }
  EXPECT_EQ(n_vulkan > 0, has_vulkan()) << "install mesa-vulkan-drivers";
}

TEST(InformationCli, DevicesWorksWithoutAVulkanDriver) {
  Surroundings bare;
  bare.environment = {{"VK_DRIVER_FILES", "/no/such/driver"},
                      {"VK_ICD_FILENAMES", "/no/such/driver"}};
  const Json list = run_json({"devices", "--json"}, "", bare);
  ASSERT_EQ(list.size(), 2u) << list;
  EXPECT_EQ(list[0]["chosen_by_auto"], true);
  const std::string expected = has_vulkan() ? "no Vulkan driver: install mesa-vulkan-drivers"
                                            : "this build has no GPU backend";
  EXPECT_EQ(list[0]["reason"].get<std::string>().rfind(expected, 0), 0u) << list;
  const Finished table = run_well({"devices"}, "", bare);
  EXPECT_NE(table.out.find(expected), std::string::npos) << table.out;
  EXPECT_EQ(table.err, "");
}

/// Generates one token on `device`, or on the default device if `device` is empty.
Finished one_token(const std::string& device, const Surroundings& surroundings) {
  Arguments arguments = {"run", "--prompt", "a", "--max-tokens", "1"};
  if (!device.empty()) arguments = arguments + Arguments{"--device", device};
  return run(arguments, "", surroundings);
}

/// Expects that `device` is refused with a line that begins with `begin`. Without --device, the
/// program must run on the CPU and give the same reason.
void expect_reason(const std::string& device, const Surroundings& surroundings,
                   const std::string& begin) {
  const Finished refused = one_token(device, surroundings);
  EXPECT_EQ(refused.status, 1) << refused.describe();
  EXPECT_EQ(refused.out, "");
  const std::vector<std::string> lines = refused.err_lines();
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back().rfind("bit-axon: " + begin, 0), 0u) << refused.err;
  const Finished automatic = one_token("", surroundings);
  EXPECT_EQ(automatic.status, 0) << automatic.describe();
  EXPECT_NE(automatic.err.find("bit-axon: device: cpu"), std::string::npos) << automatic.err;
  EXPECT_NE(automatic.err.find(begin), std::string::npos) << automatic.err;
}

TEST(InformationCli, NamesThePackageOfAMissingDriver) {
  if (!has_vulkan()) return;  // DevicesListsVulkanDevices reports this failure
  Surroundings bare;
  bare.environment = {{"VK_DRIVER_FILES", "/no/such/driver"},
                      {"VK_ICD_FILENAMES", "/no/such/driver"}};
  for (const char* device : {"vulkan", "vulkan:0", "vulkan:nosuch"})
    expect_reason(device, bare, "no Vulkan driver: install mesa-vulkan-drivers or that of");
}

TEST(InformationCli, NamesThePackageOfAMissingLoader) {
  if (!has_vulkan()) return;
  const TemporaryFolder folder;
  for (const char* name : {"libvulkan.so.1", "libvulkan.so"})
    write_file(folder / name, "no library at all");
  Surroundings broken;
  broken.environment = {{"LD_LIBRARY_PATH", folder.path().string()}};
  expect_reason("vulkan", broken, "no Vulkan loader: install libvulkan1 and a driver (");
}

TEST(InformationCli, RefusesUnknownDevices) {
  if (!has_vulkan()) return;
  for (const char* wanted : {"99", "nosuch", "ffff:ff:1f.7"}) {
    const Finished refused = one_token(std::string("vulkan:") + wanted, {});
    EXPECT_EQ(refused.status, 1) << refused.describe();
    EXPECT_NE(refused.err.find(fmt::format("vulkan:{}: no usable device; vulkan:0 (", wanted)),
              std::string::npos)
        << refused.err;
    EXPECT_NE(refused.err.find(fmt::format("not \"{}\"", wanted)), std::string::npos)
        << refused.err;
  }
}

TEST(InformationCli, InspectCountsTheBundledModel) {
  const Json json = run_json({"inspect", "--json", "--quiet", "--tensors", "--check"});
  EXPECT_EQ(json["parameters"], 2200320);
  EXPECT_EQ(json["bits_per_weight"], 16.0);
  EXPECT_EQ(json["config"]["vocab_size"], 1024);
  EXPECT_EQ(json["not_finite"], Json::array());
  EXPECT_EQ(json["warnings"], Json::array());
  std::uint64_t tensor_bytes = 0;
  std::uint64_t part_bytes = 0;
  for (const Json& tensor : json["tensors"]) tensor_bytes += tensor["bytes"].get<std::uint64_t>();
  for (const Json& part : json["parts"]) part_bytes += part["bytes"].get<std::uint64_t>();
  EXPECT_EQ(tensor_bytes, json["bytes"]);
  EXPECT_EQ(part_bytes, json["bytes"]);
  // The model may be named by its folder, by --model, or by its file.
  for (const Arguments& model :
       {Arguments{bundled_model_dir().string()}, Arguments{"-m", bundled_model_dir().string()},
        Arguments{(bundled_model_dir() / "model.safetensors").string()}})
    EXPECT_EQ(run_json(Arguments{"inspect", "--json"} + model)["parameters"], 2200320);
}

TEST(InformationCli, InspectPrintsAReport) {
  const Finished report = run_well({"inspect", "--tensors", "--check"});
  EXPECT_NE(report.out.find("2200320"), std::string::npos) << report.out;
  EXPECT_NE(report.out.find("every number is finite"), std::string::npos);
  EXPECT_NE(report.out.find("embed_tokens.weight"), std::string::npos);
  ASSERT_EQ(report.err_lines().size(), 1U) << report.err;
  EXPECT_EQ(report.err.rfind("bit-axon: model: the bundled", 0), 0U) << report.err;
  EXPECT_EQ(run_well({"inspect", "--quiet"}).err, "");
  for (const char* folder :
       {"tiny_window", "tiny_long", "tiny_mixed", "tiny_nf4", "tiny_q4_linear_only"})
    EXPECT_EQ(run_well({"inspect", "--check", golden_model(folder).string()}).err, "");
}

TEST(InformationCli, CheckFindsNaN) {
  const TemporaryFolder folder;
  copy_model(golden_dir() / kSmallestModel, folder.path());
  rewrite_model(golden_model(kSmallestModel), folder / "model.safetensors", {}, "layer_0.ssm.D");
  const Finished quiet = run({"inspect", "--check", "--json", folder.path().string()});
  EXPECT_EQ(quiet.status, 1) << quiet.describe();
  const Json expected = Json::parse(R"([{"name": "layer_0.ssm.D", "nan": 1, "inf": 0}])");
  EXPECT_EQ(parse_json(quiet.out, "stdout")["not_finite"], expected);
  const Finished report = run({"inspect", "--check", folder.path().string()});
  EXPECT_EQ(report.status, 1);
  EXPECT_NE(report.out.find("1 NaN"), std::string::npos) << report.out;
  // Without --check, inspect does not find the NaN. `run` reports an error instead of a token.
  run_well({"inspect", folder.path().string()});
  const Finished generated =
      run({"run", "--quiet", "--prompt-ids", "1,2", "-m", folder.path().string()});
  EXPECT_EQ(generated.status, 1) << generated.describe();
  EXPECT_NE(generated.err.find("not finite"), std::string::npos) << generated.err;
  EXPECT_EQ(generated.err_lines().size(), 1U);
  EXPECT_EQ(generated.out, "");
}

}  // namespace
}  // namespace bitaxon::test
