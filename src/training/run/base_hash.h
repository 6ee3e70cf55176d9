// Tells whether two runs train adapters of the same model.
#pragma once

#include <string>

#include "training/base_model.h"

namespace bitaxon {

/// A hash of the configuration of a model and of the names, types, shapes and places of its tensors,
/// as 16 hex digits. The contents of the tensors are not read, because that takes long.
std::string base_hash(const BaseModel& base);

}  // namespace bitaxon
