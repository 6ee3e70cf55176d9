// An adapter that a model runs with, without merging it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/model_spec.h"
#include "core/backend.h"
#include "core/state_layout.h"
#include "model/adapter_set.h"
#include "model/weights.h"

namespace bitaxon {

struct LoadedAdapter {
  AdapterSet set;
  std::vector<float> parameters;  ///< the vector of all parameters

  /// A hash of parameters and factors.
  std::uint64_t hash() const;
};

/// Reads the adapter that a user names by `path`, for the weights of a model. `scale` replaces the
/// factor of all layers. `base` is the base_hash() of the model, for a warning. Throws as
/// read_adapter() and find_adapter() do, and Error(unsupported) that
/// names the layer for an adapter of a weight that can be adapted only by merging.
LoadedAdapter load_adapter(const std::filesystem::path& path, std::optional<double> scale,
                           const std::string& base, const ModelSpec& spec,
                           const std::vector<FoundWeight>& found,
                           std::vector<std::string>& warnings);

/// Records the norms of DoRA for all layers.
void record_norms(Graph& graph, const Weights& weights, const AdapterTensors& adapter);

}  // namespace bitaxon
