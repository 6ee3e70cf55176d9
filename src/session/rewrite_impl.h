// The data of a Rewrite. quantize.cpp and merge.cpp fill in the edits, and rewrite.cpp writes the
// new model.
#pragma once

#include <string>
#include <vector>

#include "bitaxon/rewrite.h"
#include "formats/safetensors.h"
#include "model/lora.h"
#include "model/model_writer.h"
#include "model/weights.h"

namespace bitaxon {

struct BX_HIDDEN Rewrite::Impl {
  /// Opens the model and finds its weights.
  explicit Impl(const ModelFiles& from);

  ModelFiles files;
  Checkpoint checkpoint;
  std::vector<std::string> warnings;
  std::string config_text;  ///< the text that `spec` was read from
  ModelSpec spec;
  std::string name;  ///< the model's printable path, for messages
  std::vector<FoundWeight> found;
  Adapter adapter;                ///< only for merge; the edits refer to it
  std::vector<WeightEdit> edits;  ///< one for each weight
};

}  // namespace bitaxon
