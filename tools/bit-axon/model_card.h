// The model card (README.md) of a model that is uploaded.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/inspection.h"

namespace bitaxon::tool {

struct ModelCard {
  const Inspection& model;
  std::string repository;  ///< "owner/name"
  std::string base_model;  ///< hub id of the model that this one was made from; may be empty
  /// Names and values that the user gives, such as {"mmlu", "0.45"}.
  std::vector<std::pair<std::string, std::string>> results = {};
};

/// The text of the card: what the model is, its sizes and formats, how to run it, and the results.
std::string card_text(const ModelCard& card);

}  // namespace bitaxon::tool
