// The models Jamba.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/model_spec.h"
#include "formats/json_fwd.h"

namespace bitaxon {

/// Describes a model of the family. Arguments and errors are those of describe_model().
ModelSpec describe_jamba(const Json& config, std::string_view name,
                         std::vector<std::string>& warnings);

}  // namespace bitaxon
