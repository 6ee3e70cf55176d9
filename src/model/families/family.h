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
  /// The end of the names of tensors that a checkpoint may have and the model does not need. Empty
  /// if there are no such tensors.
  std::string_view unused_tensors = {};
};

/// Adds a family, or replaces the family with the same model_type. Not thread-safe: call it at the
/// beginning of a program.
void register_family(const Family& family);

/// Whether a tensor of this name is one that a checkpoint of the model's family may have and the
/// model does not need.
bool is_unused_tensor(const ModelSpec& spec, std::string_view name);

}  // namespace bitaxon
