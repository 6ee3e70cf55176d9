// The implementation of Tuner. tuner_setup.cpp allocates and initializes, tuner_steps.cpp runs steps,
// and tuner.cpp makes updates of them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "core/plan.h"
#include "training/passes.h"
#include "training/train_memory.h"
#include "training/tuner.h"

namespace bitaxon {

/// The graphs of a Tuner.
enum class TrainGraph : std::uint8_t {
  forward,    ///< keeps rows for the backward pass
  evaluate,   ///< keeps none, and has no dropout
  head,       ///< with gradients
  head_loss,  ///< without gradients
  backward,
  norms,
  squares,
  update,
};

/// A plan, compiled for the memory of a Tuner.
struct CompiledGraph {
  std::shared_ptr<const Plan> plan;
  Executable executable;
};

struct Tuner::Impl {
  std::shared_ptr<Backend> backend;  // first, so that it outlives what it made
  TunerOptions options;
  BaseModel base;
  TunerPlan plan;
  AdapterSet evaluated;  ///< plan.adapter without dropout
  Weights weights;
  std::shared_ptr<const StateLayout> layout;
  std::vector<Buffer> state;
  Buffer arena, zeros;
  std::size_t table_words = 0;
  std::map<std::pair<TrainGraph, std::int64_t>, CompiledGraph> graphs;
  std::vector<ParameterRange> ranges;
  std::int64_t n_updates = 0;
  bool norms_are_old = true;
  std::optional<Ticket> in_flight;
  std::optional<std::vector<OpTime>> times;  ///< of the steps so far, while they are measured

  Impl(BaseModel model, std::shared_ptr<Backend> device, const TunerOptions& how);

  // memory
  void allocate();
  void draw_parameters();
  const Buffer& buffer(std::int32_t index) const { return state[static_cast<std::size_t>(index)]; }
  std::vector<float> read(std::int32_t index, std::int64_t n);
  void write(std::int32_t index, std::span<const float> values);
  void clear(std::int32_t index);
  std::int32_t index_of(ParameterVector vector) const;

  // steps
  TrainedModel trained(bool with_dropout) const {
    return {base.spec, weights, *layout, plan.index, with_dropout ? plan.adapter : evaluated};
  }
  std::shared_ptr<Graph> record(TrainGraph kind, std::int64_t size) const;
  const CompiledGraph& find(TrainGraph kind, std::int64_t size);
  void submit(TrainGraph kind, std::int64_t size, const StepBuffer& step);
  void finish();
  void refresh_norms();

  // passes
  std::vector<Pass> passes(std::span<const TrainSequence> sequences) const;
  void check(std::span<const TrainSequence> sequences) const;
  void run_forward(const Pass& pass, TrainGraph kind, const std::function<void()>& before_part);
  void run_head(const Pass& pass, TrainGraph kind, const std::function<void()>& before_part);
  void run_backward(const Pass& pass, const std::function<void()>& before_part);
  /// The log-probability of each target of a pass.
  std::vector<double> log_probs(const Pass& pass);
  void set_factors(const Pass& pass, std::span<const double> factors);

  std::int64_t flops_of(TrainGraph kind, std::int64_t size, const StepBuffer& step);

  // updates
  /// Computes the gradients of an update, and loss and means of `result`. Returns false if a loss is
  /// not finite.
  bool add_gradients(std::span<const TrainSequence> sequences, UpdateResult& result,
                     const std::function<void()>& before_part);
  /// Changes the parameters by the gradients.
  void apply(const OptimizerSettings& optimizer, UpdateResult& result);
};

}  // namespace bitaxon
