// Breaks down the time of decoding a token on a Vulkan device.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/backend.h"
#include "model/families/bit_axon.h"

namespace bitaxon::bench {

/// The model and the device to decode with.
struct DecodeSetup {
  std::string selector;                        ///< see VulkanOptions::selector
  std::string shader_dir;                      ///< see VulkanOptions::shader_dir
  std::optional<std::filesystem::path> model;  ///< empty: random weights for `config`
  BitAxonConfig config;
  int n_tokens = 32;  ///< number of tokens that are measured
};

/// A configuration with as many layers as the default configuration, but small layers. A step has
/// as many launches as a step of the default model, but computes very little. The host's work for a
/// step depends only on the number of launches.
BitAxonConfig many_small_layers();

/// The times of one token. The times that measure_decode() returns are medians over all tokens.
/// Steps run ahead as far as the program allows.
struct TokenTimes {
  double token_us = 0;   ///< time from one token to the next
  double host_us = 0;    ///< time in Model::submit and Model::wait, without the calls to the driver
  double submit_us = 0;  ///< time in the submit calls of the driver
  double wait_us = 0;    ///< time in the wait calls of the driver
};

struct DecodeTimes {
  std::string device, driver;
  std::uint64_t packed_bytes = 0;
  double load_s = 0;   ///< time to load the files or to generate random weights
  double first_s = 0;  ///< time of the prompt and the first tokens, including creating pipelines
  std::size_t dispatches = 0;
  std::size_t submissions = 0;
  TokenTimes token;
  std::optional<DeviceRates> rates;
};
DecodeTimes measure_decode(const DecodeSetup& setup, bool with_rates);

/// The work of one shader for one op in the decoding of one token.
struct KernelTime {
  std::string label;  ///< op and shader, such as "ssm_in: ssm_in_vec"
  std::int64_t launches = 0;
  double time_us = 0;      ///< time of all launches together, mean over the tokens
  std::int64_t bytes = 0;  ///< bytes that all launches must read and write, mean over the tokens
};
/// Measures the kernels while one step runs at a time. The result is sorted by time, longest first.
/// It is empty if the device has no timestamps.
std::vector<KernelTime> measure_kernels(const DecodeSetup& setup);

}  // namespace bitaxon::bench
