// What a Rewrite holds: quantize.cpp and merge.cpp decide it, rewrite.cpp writes it.
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
  std::string config_text;  ///< what `spec` was read from
  ModelSpec spec;
  std::string name;  ///< the model's printable path, for messages
  std::vector<FoundWeight> found;
  Adapter adapter;                ///< of merge; the edits refer to it
  std::vector<WeightEdit> edits;  ///< one for each weight
};

}  // namespace bitaxon
