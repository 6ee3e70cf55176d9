// Where the time of decoding a token goes, on a Vulkan device.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "bitaxon/config.h"

namespace bitaxon::bench {

/// What is decoded with, and on what.
struct DecodeSetup {
  std::string selector;                        ///< as VulkanOptions::selector
  std::string shader_dir;                      ///< as VulkanOptions::shader_dir
  std::optional<std::filesystem::path> model;  ///< empty: random weights for `config`
  Config config;
  int n_tokens = 32;  ///< that are measured
};

/// The default configuration's layers, each small: as many launches, next to no arithmetic. What
/// the host does for a step depends on the launches alone.
Config many_small_layers();

/// Of one token, the median; steps run ahead as the program lets them.
struct TokenTimes {
  double token_us = 0;   ///< from token to token
  double host_us = 0;    ///< in Model::submit and Model::wait, without the driver's calls
  double submit_us = 0;  ///< in the driver's submit
  double wait_us = 0;    ///< in the driver's wait
};

struct DecodeTimes {
  std::string device, driver;
  std::uint64_t packed_bytes = 0;
  double load_s = 0;   ///< from the files, or random weights
  double first_s = 0;  ///< the prompt, and the first tokens, for which pipelines are made
  std::size_t dispatches = 0;
  std::size_t submissions = 0;
  TokenTimes token;
  std::optional<DeviceRates> rates;
};
DecodeTimes measure_decode(const DecodeSetup& setup, bool with_rates);

/// Launches of one shader for one op, in one token.
struct KernelTime {
  std::string label;  ///< "ssm_in: ssm_in_vec"
  std::int64_t launches = 0;
  double time_us = 0;      ///< all together, the mean of the tokens
  std::int64_t bytes = 0;  ///< likewise: what they have to read and write
};
/// Longest first; steps one at a time. Empty on a device without timestamps.
std::vector<KernelTime> measure_kernels(const DecodeSetup& setup);

}  // namespace bitaxon::bench
