// The graph of one step of the model, and the kinds of steps there are.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bitaxon/model.h"
#include "core/graph.h"
#include "model/state_pool.h"
#include "model/weights.h"

namespace bitaxon {

/// What decides the structure of a step's graph. Precision does too, but a model has one precision.
struct StepKind {
  std::int64_t row_bucket = 1;
  std::int64_t segment_bucket = 1;
  StepOutput output = StepOutput::token;
  SamplerStructure sampler;
  bool layer_outputs = false;
  friend bool operator==(const StepKind&, const StepKind&) = default;
};

/// The smallest power of two that holds n (rows: at most kMaxRows, segments: at most kMaxSegments).
std::int64_t bucket_of(std::int64_t n);

struct StepGraph {
  std::shared_ptr<Graph> graph;
  Tensor logits;               ///< last_logits, all_logits
  std::vector<Tensor> layers;  ///< what each block returns, with layer_outputs
};

StepGraph record_step(const StepKind& kind, const ModelSpec& spec, const Weights& weights,
                      const StateLayout& layout, const StateIndex& index);

}  // namespace bitaxon
