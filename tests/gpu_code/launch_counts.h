// Counts the dispatches of decode steps, the barriers between them, and the longest chain of
// dispatches of which each one waits for the one before.
#pragma once

#include <string>
#include <vector>

#include "formats/json.h"
#include "gpu_code/workloads.h"

namespace bitaxon::gpu_code {

struct LaunchCounts {
  std::size_t dispatches = 0;
  std::size_t barriers = 0;  ///< between two dispatches
  std::size_t chain = 0;     ///< dispatches of the longest path of dependent dispatches
};
LaunchCounts count_launches(const std::vector<ListedLaunch>& launches);

/// The counts of a model: of a decode step of one sequence, and of one of four sequences.
struct ModelCounts {
  std::string model;   ///< "preset default", or the folder of a recorded model
  std::string family;  ///< "bit_axon", "qwen3", ...
  LaunchCounts of_one, of_four;
};

/// Counts the presets of Bit-Axon and all recorded models. Each step draws a token for each
/// sequence.
std::vector<ModelCounts> count_models(const vulkan::DeviceCaps& caps);

std::string counts_text(const std::vector<ModelCounts>& models);
Json counts_json(const std::vector<ModelCounts>& models);

}  // namespace bitaxon::gpu_code
