// A cache of planned and compiled steps.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "core/backend.h"
#include "core/plan.h"
#include "model/step_graph.h"

namespace bitaxon {

/// A plan and its executable. Step kinds whose graphs have the same structure share a CompiledPlan.
struct CompiledPlan {
  std::string structure_key;
  std::shared_ptr<const Plan> plan;
  Buffer arena;
  Executable executable;  ///< empty if the state's buffers have changed since it was compiled
};

struct CompiledStep {
  StepKind kind;
  StepGraph graph;
  std::shared_ptr<CompiledPlan> compiled;
};

/// Finds the graph of a step kind, and the plan and the executable of that graph. The cache is
/// bounded and evicts the least recently used kind. A program has few kinds: the row buckets of its
/// prompts, decoding, and one sampler.
class StepCache {
 public:
  static constexpr std::size_t kMaxKinds = 24;

  /// Allocates an arena of `arena_bytes`, which all plans that fit it share.
  StepCache(const ModelSpec& spec, const Weights& weights, StatePool& pool, Precision precision,
            bool plan_reuse, std::size_t arena_bytes)
      : spec_(spec),
        weights_(weights),
        pool_(pool),
        precision_(precision),
        plan_reuse_(plan_reuse) {
    arena_for(arena_bytes);
    pool_.before_growth = [this] { drop_executables(); };
  }
  StepCache(const StepCache&) = delete;
  StepCache& operator=(const StepCache&) = delete;
  ~StepCache() { pool_.before_growth = nullptr; }

  /// Returns the compiled step of a kind. A new kind is recorded, planned and compiled. For a known
  /// kind, no memory is allocated.
  std::shared_ptr<const CompiledStep> find(const StepKind& kind);
  /// Empties the cache.
  void forget() { steps_.clear(); }

 private:
  std::shared_ptr<CompiledPlan> plan_of(const std::shared_ptr<Graph>& graph);
  void compile(CompiledPlan& plan);
  /// Drops what refers to the buffers of the state. The steps stay planned.
  void drop_executables();
  Buffer arena_for(std::size_t size_bytes);

  const ModelSpec& spec_;
  const Weights& weights_;
  StatePool& pool_;
  Precision precision_;
  bool plan_reuse_;
  std::list<std::shared_ptr<CompiledStep>> steps_;  ///< most recently used first
  Buffer arena_;  ///< shared by plans that fit, because steps run one after the other
};

}  // namespace bitaxon
