// Families of models by the model_type of their config.json.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/model_spec.h"

namespace bitaxon {

struct Family {
  std::string model_type;
  /// As describe_model; `json` is the text of a config.json of this family.
  ModelSpec (*describe)(std::string_view json, std::string_view name,
                        std::vector<std::string>& warnings);
};

/// Adds a family, or replaces the one of its model_type. Not thread-safe: call it at the
/// beginning of a program.
void register_family(const Family& family);

}  // namespace bitaxon
