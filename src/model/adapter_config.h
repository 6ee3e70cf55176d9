// Reads adapter_config.json, which mlx-lm and PEFT write beside an adapter.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "model/adapter_layout.h"

namespace bitaxon {

/// The factor of the product of one linear layer. `path` is the layer's name in the model, such as
/// "model.layers.0.self_attn.q_proj". Throws Error(format) for a rank that the configuration does
/// not have.
using ScaleOf = std::function<double(const std::string& path, std::int64_t rank)>;

struct AdapterConfig {
  ScaleOf scale_of;
  bool is_dora = false;  ///< every layer has magnitudes
};

/// Reads the kind and the factors of the adapter in the file `adapter`: from `metadata`, the metadata
/// of the file, if this program wrote it, else from the adapter_config.json in its folder. `scale` is
/// the factor of every layer that the user names, if any. Without it, the factor is:
///   mlx   lora_parameters.scale, else 20, which is the default of mlx-lm and of Bit-Axon's training
///   peft  lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora; the patterns of the configuration
///         give some layers another alpha or rank
/// Throws Error(io) if the configuration is needed and missing: PEFT has no default. Throws
/// Error(format) for a broken file. Throws Error(unsupported) that names the key for an adapter that
/// is more than a product added to weights. Throws Error(invalid_argument) if `scale` is not the
/// scale in the metadata.
AdapterConfig read_adapter_config(const std::filesystem::path& adapter,
                                  const std::map<std::string, std::string>& metadata,
                                  AdapterLayout layout, std::optional<double> scale);

/// Parses the text of an adapter_config.json. `name` begins messages. Throws Error(format,
/// unsupported) as above.
AdapterConfig parse_adapter_config(std::string_view json, std::string_view name,
                                   AdapterLayout layout);

}  // namespace bitaxon
