// Step kinds that have been met, planned and compiled.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "core/backend.h"
#include "core/plan.h"
#include "model/step_graph.h"

namespace bitaxon {

/// A plan and its executable. Kinds whose graphs have the same structure share one.
struct CompiledPlan {
  std::string structure_key;
  std::shared_ptr<const Plan> plan;
  Buffer arena;
  Executable executable;
};

struct CompiledStep {
  StepKind kind;
  StepGraph graph;
  std::shared_ptr<const CompiledPlan> compiled;
};

/// The kind of a step finds its graph, the graph's structure its plan, the plan its executable.
/// Bounded: the kind not used for longest goes first. A program meets few: the row buckets of its
/// prompts, decoding, one sampler.
class StepCache {
 public:
  static constexpr std::size_t kMaxKinds = 24;

  /// Plans of up to `arena_bytes` share an arena that is there from the beginning.
  StepCache(const ModelSpec& spec, const Weights& weights, const StatePool& pool,
            Precision precision, bool plan_reuse, std::size_t arena_bytes)
      : spec_(spec),
        weights_(weights),
        pool_(pool),
        precision_(precision),
        plan_reuse_(plan_reuse) {
    arena_for(arena_bytes);
  }

  /// Records, plans and compiles a kind that is new; allocates nothing for one that is not.
  std::shared_ptr<const CompiledStep> find(const StepKind& kind);
  /// Every kind is new again.
  void forget() { steps_.clear(); }

 private:
  std::shared_ptr<const CompiledPlan> compile(const std::shared_ptr<Graph>& graph);
  Buffer arena_for(std::size_t size_bytes);

  const ModelSpec& spec_;
  const Weights& weights_;
  const StatePool& pool_;
  Precision precision_;
  bool plan_reuse_;
  std::list<std::shared_ptr<const CompiledStep>> steps_;  ///< most recently used first
  Buffer arena_;  ///< shared by the plans that fit it; steps run one after the other
};

}  // namespace bitaxon
