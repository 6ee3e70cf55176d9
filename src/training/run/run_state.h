// The file training_state.json of a checkpoint: where a run is, and what it was started with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/json.h"
#include "training/data/batches.h"

namespace bitaxon {

struct BestEvaluation {
  std::int64_t step = 0;
  double loss = 0;
};

/// Everything that a run must know to continue, beside the tensors.
struct RunState {
  std::int64_t step = 0;     ///< updates
  DataPosition place;        ///< where the next update begins
  double loss = 0;           ///< of the latest update
  double learning_rate = 0;  ///< of the latest update; stored with the optimizer
  double grad_norm = 0;
  std::int64_t tokens = 0, target_tokens = 0;
  std::int64_t skipped = 0;         ///< updates that were dropped because they were not finite
  std::int64_t skipped_in_row = 0;  ///< the latest of them, without an update between
  std::int64_t evaluated_step = -1;
  std::optional<BestEvaluation> best = {};
  std::int64_t evaluations_since_best = 0;
  double seconds = 0, pause_seconds = 0;
  Json data = Json::object();      ///< identifies the training data
  Json settings = Json::object();  ///< the settings of the run, by the names of their flags
};

/// The text of training_state.json.
std::string text_of(const RunState& state);

/// Parses the text of a training_state.json. `name` begins messages. Throws Error(format) that names
/// the key. Upstream's file has only the step, counted in micro-batches, and the loss: the place is
/// then the beginning of the data, and `is_upstreams`, unless null, becomes true.
RunState parse_run_state(std::string_view text, std::string_view name,
                         bool* is_upstreams = nullptr);

}  // namespace bitaxon
