#include "compiled_case.h"

#include "cases/op_harness.h"

namespace bitaxon::test {

CompiledCase compile_case(Backend& backend, const OpProblem& problem, Precision precision) {
  const std::shared_ptr<Graph> graph = graph_of(backend, problem);
  const auto plan = schedule(graph, *backend.description());
  const Buffer arena = backend.allocate(plan->arena_bytes, BufferUse::activations);
  CompiledCase compiled;
  compiled.arena = arena;
  for (std::size_t id = 0; id < graph->values().size(); ++id)
    if (graph->values()[id].kind == ValueKind::input)
      compiled.inputs.push_back(
          {plan->values[id].offset_bytes, problem.inputs()[compiled.inputs.size()].bytes});
  compiled.upload_inputs(backend);
  std::vector<Buffer> state;
  for (const std::vector<std::byte>& image : problem.state_images()) {
    state.push_back(backend.allocate(image.size(), BufferUse::state));
    backend.upload(state.back(), 0, image);
  }
  compiled.executable =
      backend.compile(plan, {.arena = arena,
                             .state = state,
                             .table_words = problem.step.pages.size(),
                             .precision = precision,
                             .state_layout = std::make_shared<StateLayout>(problem.layout())});
  compiled.step = problem.step;
  const StepSizes sizes = sizes_of(problem.step);
  for (const Node& node : graph->nodes()) compiled.cost += cost_of({*graph, node}, sizes);
  return compiled;
}

void CompiledCase::upload_inputs(Backend& backend) const {
  for (const Input& input : inputs) backend.upload(arena, input.offset, input.bytes);
}

}  // namespace bitaxon::test
