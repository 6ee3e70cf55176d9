// The models Mamba and Falcon-Mamba.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/model_spec.h"
#include "formats/json_fwd.h"

namespace bitaxon {

/// Describe models of the family. Arguments and errors are those of describe_model().
ModelSpec describe_mamba(const Json& config, std::string_view name,
                         std::vector<std::string>& warnings);
ModelSpec describe_falcon_mamba(const Json& config, std::string_view name,
                                std::vector<std::string>& warnings);

/// Refuses the config.json of Mamba's first release, which has other keys and no model_type. Throws
/// Error(unsupported) that says which repository to use.
void refuse_first_mamba(const Json& config, std::string_view name);

}  // namespace bitaxon
