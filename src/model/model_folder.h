// Reads the files of a model's folder.
#pragma once

#include <cstdint>
#include <vector>

#include "bitaxon/model_files.h"
#include "formats/safetensors.h"

namespace bitaxon {

/// Opens the file of weights of a model. Throws as Checkpoint::open() does. Throws Error(unsupported)
/// for the first release of Mamba, whose config.json tells more than its weights.
Checkpoint open_checkpoint(const ModelFiles& files);

/// The end-of-sequence ids that generation_config.json names. Throws Error(format) for a value that
/// holds no ids.
std::vector<std::int32_t> generation_ends(const ModelFiles& files);

}  // namespace bitaxon
