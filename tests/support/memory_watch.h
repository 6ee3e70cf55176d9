// Measures the memory of this process as the system counts it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "bitaxon/model.h"
#include "model/families/bit_axon.h"
#include "model/random_weights.h"
#include "support/borrowed_backend.h"

namespace bitaxon::test {

/// The number of bytes in an entry of /proc/self/status, such as VmRSS.
inline std::uint64_t memory_status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(key + ":", 0) != 0) continue;
    std::uint64_t kibibytes = 0;
    std::istringstream(line.substr(key.size() + 1)) >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

/// The largest growth of this process's resident memory while `act` runs.
template <class Act>
std::uint64_t peak_growth_bytes(const Act& act) {
  std::ofstream("/proc/self/clear_refs") << 5;  // resets the peak to the current memory
  const std::uint64_t before = memory_status_bytes("VmRSS");
  act();
  return memory_status_bytes("VmHWM") - before;
}

/// The configuration of a model whose weights take 175 MiB. Its largest tensor takes 48 MiB.
inline BitAxonConfig loading_config() {
  BitAxonConfig config;
  config.vocab_size = 8000;
  config.hidden_dim = 1024;
  config.num_heads = 8;
  config.num_layers = 3;
  config.d_source_model = 512;
  config.moe_intermediate_dim = 3072;
  return config;
}

/// Loads a model of random weights. Expects that the peak stays below the sum of the packed
/// weights, the largest tensor and 128 MiB. The backend must allocate its buffers in system memory.
inline void expect_low_loading_peak(Backend& backend) {
  std::uint64_t largest = 0;
  for (const FoundWeight& weight : random_found(loading_config().spec()))
    largest = std::max(largest, weight.source.desc.stored_bytes());
  std::uint64_t packed = 0;
  const std::uint64_t growth = peak_growth_bytes([&] {
    const Model model = Model::random(borrowed(backend), loading_config().spec(), 1, {});
    packed = model.packed_bytes();
  });
  EXPECT_GT(growth, packed) << "the peak was not measured";
  EXPECT_LT(growth, packed + largest + (std::uint64_t{128} << 20));
}

}  // namespace bitaxon::test
