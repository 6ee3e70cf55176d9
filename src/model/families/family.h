// Families of models. The model_type in a config.json selects the family.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/model_spec.h"
#include "formats/json_fwd.h"

namespace bitaxon {

struct Family {
  std::string model_type;
  /// Describes a model as describe_model() does. `config` is a config.json of this family.
  ModelSpec (*describe)(const Json& config, std::string_view name,
                        std::vector<std::string>& warnings);
};

/// Adds a family, or replaces the family with the same model_type. Not thread-safe: call it at the
/// beginning of a program.
void register_family(const Family& family);

}  // namespace bitaxon
