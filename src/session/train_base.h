// The base model of a training run, from the same requests as models that only run.
#pragma once

#include <string>
#include <vector>

#include "bitaxon/session.h"
#include "training/base_model.h"

namespace bitaxon {

/// The found model, described and not loaded. Throws as load_session() does.
BaseModel training_base(const FoundModel& found, std::vector<std::string>& warnings);

}  // namespace bitaxon
