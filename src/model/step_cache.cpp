#include "model/step_cache.h"

namespace bitaxon {

std::shared_ptr<const CompiledStep> StepCache::find(const StepKind& kind) {
  for (auto it = steps_.begin(); it != steps_.end(); ++it) {
    if (!((*it)->kind == kind)) continue;
    steps_.splice(steps_.begin(), steps_, it);
    CompiledPlan& plan = *steps_.front()->compiled;
    if (plan.executable.compiled == nullptr) compile(plan);
    return steps_.front();
  }
  auto step = std::make_shared<CompiledStep>();
  step->kind = kind;
  step->graph =
      record_step(kind, spec_, weights_, pool_.layout(), pool_.index(), pool_.options().adapter);
  step->compiled = plan_of(step->graph.graph);
  steps_.push_front(std::move(step));
  if (steps_.size() > kMaxKinds) steps_.pop_back();
  return steps_.front();
}

std::shared_ptr<CompiledPlan> StepCache::plan_of(const std::shared_ptr<Graph>& graph) {
  std::string key = graph->structure_key();
  for (const auto& step : steps_) {
    if (step->compiled->structure_key != key) continue;
    if (step->compiled->executable.compiled == nullptr) compile(*step->compiled);
    return step->compiled;
  }
  auto compiled = std::make_shared<CompiledPlan>();
  compiled->structure_key = std::move(key);
  compiled->plan = schedule(graph, *pool_.backend().description(), {.reuse = plan_reuse_});
  compiled->arena = arena_for(compiled->plan->arena_bytes);
  compile(*compiled);
  return compiled;
}

void StepCache::compile(CompiledPlan& plan) {
  plan.executable = pool_.backend().compile(plan.plan, {.arena = plan.arena,
                                                        .state = pool_.buffers(),
                                                        .table_words = pool_.table_words(),
                                                        .run_ahead = pool_.options().run_ahead,
                                                        .precision = precision_,
                                                        .state_layout = pool_.shared_layout()});
}

void StepCache::drop_executables() {
  for (const auto& step : steps_) step->compiled->executable = {};
}

Buffer StepCache::arena_for(std::size_t size_bytes) {
  // Older plans keep the old, smaller arena alive and go on to use it.
  if (arena_.size_bytes < size_bytes)
    arena_ = pool_.backend().allocate(size_bytes, BufferUse::activations);
  return arena_;
}

}  // namespace bitaxon
