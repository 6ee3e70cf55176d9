// What an adapter's file says about itself, in the metadata of its header.
//
//   format "mlx", bitaxon_adapter "1", kind "lora" | "dora", rank, scale, dropout,
//   targets (names, separated by commas), base (hash of the model), objective "sft" | "orpo", step,
//   program ("bit-axon VERSION")
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "bitaxon/train.h"

namespace bitaxon {

struct AdapterMetadata {
  AdapterKind kind = AdapterKind::lora;
  std::int64_t rank = 0;
  double scale = 0;
  double dropout = 0;
  std::string targets = {};  ///< names of layers, separated by commas; empty for the default
  std::optional<std::int64_t> last_blocks = {};  ///< only in adapter_config.json
  std::string base = {};
  std::string objective = {};
  std::int64_t step = 0;
};

/// The name of a kind: "lora" or "dora".
std::string_view name_of(AdapterKind kind);

/// Reads the metadata of an adapter. Empty for a file of another program, which has no
/// "bitaxon_adapter". `name` begins messages. Throws Error(unsupported) for another version, and
/// Error(format) that names the key for a value that is not in its range.
std::optional<AdapterMetadata> read_adapter_metadata(
    const std::map<std::string, std::string>& metadata, std::string_view name);

/// A warning if an adapter was trained on another model than that of `base`, a base_hash(). Empty if
/// not, and if the adapter does not tell. `name` begins the warning.
std::string other_base(const AdapterMetadata& adapter, std::string_view name,
                       std::string_view base);

/// The metadata that a new adapter's file gets.
std::map<std::string, std::string> metadata_of(const AdapterMetadata& adapter);

}  // namespace bitaxon
