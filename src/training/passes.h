// Cuts the sequences of an update into passes, and each pass into steps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/step.h"
#include "training/train_state.h"
#include "training/tuner.h"

namespace bitaxon {

/// A row whose label counts in the loss.
struct TargetRow {
  std::uint32_t store_row = 0;
  std::int32_t label = 0;
  std::size_t sequence = 0;  ///< index in the sequences of the update
};

/// Sequences whose forward and backward steps run together. Row r of the pass is row r of every
/// store. A sequence that does not fit into one step continues in the next one. So a step has at
/// most one segment that continues an earlier step, and at most one that is continued. Version i of
/// the recurrent state is the state in front of step i.
struct Pass {
  std::vector<StepBuffer> steps;
  std::vector<TargetRow> targets;  ///< ascending rows
};

struct PassOptions {
  PassSizes sizes;
  std::int64_t step_rows = kMaxRows;
  std::int64_t group = 1;  ///< so many consecutive sequences stay in one pass: 2 for pairs
  std::size_t n_page_groups = 0;
};

/// The passes of an update, in the order of its sequences. Every sequence has at least one token, and
/// a group of sequences fits into one pass.
std::vector<Pass> cut_into_passes(std::span<const TrainSequence> sequences,
                                  const PassOptions& options);

/// The steps of the head: groups of at most `n_outputs` targets.
std::vector<StepBuffer> head_steps(std::span<const TargetRow> targets, std::int64_t n_outputs);

}  // namespace bitaxon
