#include "model/step_graph.h"

#include <fmt/format.h>

#include "model/layers.h"

namespace bitaxon {

std::int64_t bucket_of(std::int64_t n) {
  std::int64_t bucket = 1;
  while (bucket < n) bucket *= 2;
  return bucket;
}

StepGraph record_step(const StepKind& kind, const Config& config, const Weights& weights,
                      const StateLayout& layout, const StateIndex& index) {
  StepGraph step;
  step.graph = std::make_shared<Graph>();
  Graph& graph = *step.graph;
  const LayerContext context{graph, config, layout};
  const Tensor seen = context.state(index.seen);
  const Tensor next_token = context.state(index.next_token);

  graph.set_label("embed");
  Tensor x = embed(context.weight(weights.embed_tokens), seen, next_token, kind.row_bucket);
  graph.set_label("input_proj");
  x = linear(x, context.weight(weights.input_proj));
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    graph.set_label(fmt::format("layer_{}", i));
    x = block(context, x, weights.layers[i], index.layers[i]);
    if (!kind.layer_outputs) continue;
    graph.mark_output(x);
    step.layers.push_back(x);
  }
  if (kind.output == StepOutput::none) return step;

  graph.set_label("head");
  LinearOptions last;
  if (kind.output != StepOutput::all_logits) {
    last.select = RowSelect::last_of_segment;
    last.n_segments = kind.segment_bucket;
  }
  x = linear(x, context.weight(weights.output_proj), last);
  step.logits = linear(x, context.weight(weights.lm_head));
  if (kind.output == StepOutput::token) {
    graph.set_label("sample");
    graph.set_result(sample(step.logits, seen, next_token, kind.sampler));
  } else {
    graph.mark_output(step.logits);
  }
  return step;
}

}  // namespace bitaxon
