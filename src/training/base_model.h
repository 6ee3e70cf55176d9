// The frozen model below an adapter: its description and where its weights come from.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bitaxon/model_files.h"
#include "bitaxon/model_spec.h"
#include "core/backend.h"
#include "core/backend_description.h"
#include "formats/safetensors.h"
#include "model/weights.h"

namespace bitaxon {

/// How the weights of a random model are stored.
struct RandomBase {
  bool codes = false;         ///< as Model::random_codes
  std::string quantize = {};  ///< as LoadOptions::quantize; with codes, the layout of the codes
};

/// A model that is described and not loaded yet.
struct BaseModel {
  ModelSpec spec;
  std::vector<FoundWeight> found;
  ReadWeight read;
  std::shared_ptr<const Checkpoint> checkpoint;  ///< the files that `read` reads; may be empty

  /// The model of files. `quantize` is as in LoadOptions. Throws Error(io, format, unsupported).
  static BaseModel of_files(const ModelFiles& files, const std::string& quantize,
                            std::vector<std::string>& warnings);
  /// Random weights, as Model::random or Model::random_codes makes them.
  static BaseModel random(const ModelSpec& spec, std::uint64_t seed,
                          const RandomBase& options = {});

  /// The number of parameters. A tied head is not counted.
  std::int64_t n_parameters() const;
  /// The weights as a device would pack them, without contents. Rotary tables have `n_positions`
  /// positions.
  Weights described(const BackendDescription& device, std::int64_t n_positions,
                    std::uint64_t* packed_bytes = nullptr) const;
  Weights load(Backend& backend, std::int64_t n_positions, const LoadProgress& on_progress) const;
};

}  // namespace bitaxon
