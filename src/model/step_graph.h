// The graph of one step of a model, and the kinds of steps.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bitaxon/model.h"
#include "core/graph.h"
#include "model/state_pool.h"
#include "model/weights.h"

namespace bitaxon {

/// Everything that decides the structure of a step's graph, except the precision, which is the same
/// for all steps of a model.
struct StepKind {
  std::int64_t row_bucket = 1;
  std::int64_t output_bucket = 0;  ///< rows whose logits are computed; may be 0
  bool all_rows = false;           ///< the outputs are all rows of the step, in order
  bool reads_logits = false;       ///< some logits are read
  std::int64_t token_bucket = 0;   ///< segments; 0 if no segment samples a token
  SamplerStructure sampler;        ///< stages that at least one sampling segment needs
  bool layer_outputs = false;
  friend bool operator==(const StepKind&, const StepKind&) = default;
};

/// The smallest power of two >= n. n counts rows (at most kMaxRows) or segments (at most
/// kMaxSegments).
std::int64_t bucket_of(std::int64_t n);

/// The rows and outputs that the segments of a step ask for, as sums over the segments.
struct StepDemand {
  std::int64_t n_rows = 0;
  std::int64_t n_segments = 0;
  std::int64_t n_read = 0;     ///< rows whose logits are read
  std::int64_t n_sampled = 0;  ///< rows that give a token
  SamplerStructure sampler;

  /// Adds a segment.
  void add(std::int64_t rows, StepOutput output, const SamplerParams& params);
};

/// The number of rows of a segment whose logits are read. The segment has `n_rows` rows.
std::int64_t rows_read(StepOutput output, std::int64_t n_rows);

StepKind kind_of(const StepDemand& demand, bool layer_outputs);

struct StepGraph {
  std::shared_ptr<Graph> graph;
  Tensor logits;               ///< the logits of the outputs, if they are read
  std::vector<Tensor> layers;  ///< the output of each block, with layer_outputs
};

StepGraph record_step(const StepKind& kind, const ModelSpec& spec, const Weights& weights,
                      const StateLayout& layout, const StateIndex& index,
                      const AdapterSet* adapter = nullptr);

}  // namespace bitaxon
