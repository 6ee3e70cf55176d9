// Tests that a command refuses a model that is too large for the machine, without loading the model
// first.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "model/families/bit_axon.h"
#include "model/random_weights.h"
#include "platform/host_memory.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

/// The configuration of a model that needs four times the memory of this machine. Nearly all of
/// this memory is for the embedding.
BitAxonConfig huge_config() {
  BitAxonConfig config;
  config.d_source_model = std::int64_t{1} << 16;
  const auto row_bytes = static_cast<std::uint64_t>(config.d_source_model * 2);
  config.vocab_size = std::min(static_cast<std::int64_t>(4 * total_memory_bytes() / row_bytes),
                               std::int64_t{1} << 24);
  config.hidden_dim = 8;
  config.num_layers = 3;
  config.num_heads = 1;
  config.moe_intermediate_dim = 8;
  config.max_seq_len = 64;
  return config;
}

/// Writes a model directory for `config`. The tensors take no disk space, because the file is
/// sparse.
void write_hollow_model(const std::filesystem::path& folder, const BitAxonConfig& config) {
  Json header = Json::object();
  std::uint64_t end = 0;
  for (const FoundWeight& weight : random_found(config.spec())) {
    const WeightDesc& desc = weight.source.desc;
    const std::uint64_t begin = end;
    end += desc.stored_bytes();
    header[weight.slot.name()] = {
        {"dtype", desc.dtype == DType::f16 ? "F16" : "F32"},
        {"shape", std::vector<std::int64_t>(weight.slot.shape.dims().begin(),
                                            weight.slot.shape.dims().end())},
        {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t size = text.size();
  write_file(folder / "config.json", config.to_json());
  write_file(folder / "model.safetensors",
             std::string(reinterpret_cast<const char*>(&size), 8) + text);
  std::filesystem::resize_file(folder / "model.safetensors", 8 + size + end);
}

std::vector<std::string> usable_devices() {
  std::vector<std::string> selectors;
  for (const Json& device : run_json({"devices", "--json"}))
    if (device["usable"].get<bool>()) selectors.push_back(device["selector"]);
  return selectors;
}

class MemoryCli : public testing::Test {
 protected:
  MemoryCli() { write_hollow_model(folder_.path(), huge_config()); }
  TemporaryFolder folder_;
};

TEST_F(MemoryCli, RefusesAHugeModelWithATableAndAnErrorLine) {
  for (const std::string& device : usable_devices()) {
    SCOPED_TRACE(device);
    const Finished finished = run(
        {"run", "--quiet", "--prompt-ids", "1", "--device", device, "-m", folder_.path().string()});
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.out, "");
    const std::vector<std::string> lines = finished.err_lines();
    ASSERT_GE(lines.size(), 6u) << finished.err;
    for (const char* column : {"memory", "needed", "available"})
      EXPECT_NE(lines[0].find(column), std::string::npos) << lines[0];
    for (const char* purpose : {"weights", "state", "activations", "loading"})
      EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                              [&](const std::string& line) {
                                return line.rfind(fmt::format("    {} ", purpose), 0) == 0;
                              }),
                1)
          << purpose << "\n"
          << finished.err;
    EXPECT_EQ(lines.back().rfind("bit-axon: ", 0), 0u) << finished.err;
    EXPECT_NE(lines.back().find("the model does not fit: it needs "), std::string::npos);
  }
}

TEST_F(MemoryCli, InspectReportsWhetherAModelFits) {
  const std::vector<std::string> devices = usable_devices();
  const auto check = [&](const Arguments& model, bool fits) {
    const Json json = run_json(Arguments{"inspect", "--json"} + model);
    const Finished report = run_well(Arguments{"inspect"} + model);
    for (const Json& device : json["devices"]) {
      SCOPED_TRACE(device.dump());
      const std::string selector = device["selector"];
      if (std::find(devices.begin(), devices.end(), selector) == devices.end()) continue;
      EXPECT_EQ(device["fits"], fits);
      EXPECT_EQ(device["problem"] == "", fits);
      ASSERT_FALSE(device["memory"].empty());
      for (const Json& kind : device["memory"]) {
        std::uint64_t sum = 0;
        for (const Json& part : kind["parts"]) sum += part.get<std::uint64_t>();
        EXPECT_EQ(sum, kind["needed_bytes"]);
      }
      const std::string line = fmt::format("\n  {:<22}{}: ", selector, fits ? "yes" : "no");
      EXPECT_NE(report.out.find(line), std::string::npos) << report.out;
    }
    EXPECT_NE(report.out.find(fits ? " left" : " too much"), std::string::npos) << report.out;
  };
  check({"--config-small"}, true);
  check({folder_.path().string()}, false);
}

TEST_F(MemoryCli, QuantizeRefusesBeforeWriting) {
  // Without weight tying, the model also has a head. The 4-bit codes of the head alone fill the
  // machine's memory.
  BitAxonConfig config = huge_config();
  config.weight_tying = false;
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "model");
  write_hollow_model(folder / "model", config);
  for (const char* format : {"mlx", "nf4"}) {
    const Finished finished = run({"quantize", (folder / "model").string(), "--quiet", "--format",
                                   format, "-o", (folder / "out").string()});
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_EQ(finished.out, "");
    const std::vector<std::string> lines = finished.err_lines();
    ASSERT_GE(lines.size(), 4u) << finished.err;
    EXPECT_NE(lines[2].find("weight as written"), std::string::npos) << finished.err;
    EXPECT_EQ(lines.back().rfind("bit-axon: not enough memory: the largest weight needs ", 0), 0u)
        << finished.err;
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
      << "nothing was written";
}

TEST_F(MemoryCli, InspectWorksWithoutVulkan) {
  Surroundings bare;
  bare.environment = {{"VK_DRIVER_FILES", "/no/such/driver"},
                      {"VK_ICD_FILENAMES", "/no/such/driver"}};
  const Json json = run_json({"inspect", "--json", "--config-small"}, "", bare);
  for (const Json& device : json["devices"])
    EXPECT_NE(device["selector"].get<std::string>().rfind("vulkan", 0), 0u);
}

}  // namespace
}  // namespace bitaxon::test
