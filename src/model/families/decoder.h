// The decoders Qwen2, Qwen2.5, Qwen3 and Qwen3-MoE.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/model_spec.h"
#include "formats/json_fwd.h"

namespace bitaxon {

/// Describe models of the family. Arguments and errors are those of describe_model().
ModelSpec describe_qwen2(const Json& config, std::string_view name,
                         std::vector<std::string>& warnings);
ModelSpec describe_qwen3(const Json& config, std::string_view name,
                         std::vector<std::string>& warnings);
ModelSpec describe_qwen3_moe(const Json& config, std::string_view name,
                             std::vector<std::string>& warnings);

}  // namespace bitaxon
