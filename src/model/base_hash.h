// Tells whether an adapter was trained on a model.
#pragma once

#include <string>

#include "bitaxon/model_spec.h"
#include "formats/safetensors.h"

namespace bitaxon {

/// A hash of the configuration of a model and of the names, types, shapes and places of its tensors,
/// as 16 hex digits. The contents of the tensors are not read, because that takes long. `checkpoint`
/// is null for random weights.
std::string base_hash(const ModelSpec& spec, const Checkpoint* checkpoint);

}  // namespace bitaxon
