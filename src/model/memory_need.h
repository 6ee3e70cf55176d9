// What a model takes of a device's memory, told before anything is loaded.
#pragma once

#include <string>
#include <vector>

#include "bitaxon/memory.h"
#include "bitaxon/model.h"
#include "model/weights.h"

namespace bitaxon {

/// Float32 models and devices that are always exact compute exactly whatever is asked for.
Precision precision_for(const std::vector<FoundWeight>& found, const LoadOptions& options,
                        bool always_exact);

struct ModelNeed {
  MemoryNeed memory;
  std::size_t arena_bytes = 0;  ///< of the largest of the steps that options.largest_step describes
};

/// What a model with these tensors (of find_weights or random_found) needs on a device.
ModelNeed model_need(const ModelSpec& spec, const std::vector<FoundWeight>& found,
                     const LoadOptions& options, const BackendDescription& device);

/// Why a need that does not fit does not, in one line.
std::string problem_of(const MemoryNeed& need);

}  // namespace bitaxon
