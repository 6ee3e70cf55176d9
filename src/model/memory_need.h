// The memory that a model needs on a device, computed before anything is loaded.
#pragma once

#include <string>
#include <vector>

#include "bitaxon/memory.h"
#include "bitaxon/model.h"
#include "model/adapter_set.h"
#include "model/weights.h"

namespace bitaxon {

/// The precision to compute with (LoadOptions::precision). Float32 models, and devices that are
/// always exact, compute exactly whatever the options ask for.
Precision precision_for(const std::vector<FoundWeight>& found, const LoadOptions& options,
                        bool always_exact);

struct ModelNeed {
  MemoryNeed memory;
  std::size_t arena_bytes = 0;  ///< the arena of the largest step (LoadOptions::largest_step)
  /// The most tokens of a sequence: LoadOptions::context, or else as many as the model allows and
  /// the memory holds.
  std::int64_t context = 0;
  std::uint64_t bytes_per_token = 0;  ///< see Model::bytes_per_token
};

/// The memory that a model needs on a device. `found` is the result of find_weights or
/// random_found. `adapter` is the adapter that the model runs with, if any.
ModelNeed model_need(const ModelSpec& spec, const std::vector<FoundWeight>& found,
                     const LoadOptions& options, const BackendDescription& device,
                     const AdapterSet* adapter = nullptr);

/// One line that says why a need does not fit.
std::string problem_of(const MemoryNeed& need);

}  // namespace bitaxon
