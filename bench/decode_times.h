// A breakdown of the time of decoding a token on a Vulkan device.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "model/families/bit_axon.h"

namespace bitaxon::bench {

/// The model and the device to decode with.
struct DecodeSetup {
  std::string selector;                        ///< as VulkanOptions::selector
  std::string shader_dir;                      ///< as VulkanOptions::shader_dir
  std::optional<std::filesystem::path> model;  ///< empty: random weights for `config`
  BitAxonConfig config;
  int n_tokens = 32;  ///< tokens that are measured
};

/// As many layers as the default configuration has, each of them small: the same number of launches
/// with very little arithmetic. The work of the host for a step depends only on the launches.
BitAxonConfig many_small_layers();

/// Medians per token. Steps run ahead as far as the program allows.
struct TokenTimes {
  double token_us = 0;   ///< time between two tokens
  double host_us = 0;    ///< in Model::submit and Model::wait, except calls to the driver
  double submit_us = 0;  ///< in the driver's submit
  double wait_us = 0;    ///< in the driver's wait
};

struct DecodeTimes {
  std::string device, driver;
  std::uint64_t packed_bytes = 0;
  double load_s = 0;   ///< for loading the files or generating random weights
  double first_s = 0;  ///< for the prompt and the first tokens, including the creation of pipelines
  std::size_t dispatches = 0;
  std::size_t submissions = 0;
  TokenTimes token;
  std::optional<DeviceRates> rates;
};
DecodeTimes measure_decode(const DecodeSetup& setup, bool with_rates);

/// Launches of one shader for one op, per token.
struct KernelTime {
  std::string label;  ///< "ssm_in: ssm_in_vec"
  std::int64_t launches = 0;
  double time_us = 0;      ///< of all launches together, mean over the tokens
  std::int64_t bytes = 0;  ///< that all launches must read and write, mean over the tokens
};
/// Sorted by time, longest first. Runs one step at a time. Empty on a device without timestamps.
std::vector<KernelTime> measure_kernels(const DecodeSetup& setup);

}  // namespace bitaxon::bench
