#include "model/step_graph.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "model/block.h"

namespace bitaxon {

std::int64_t bucket_of(std::int64_t n) {
  std::int64_t bucket = 1;
  while (bucket < n) bucket *= 2;
  return bucket;
}

namespace {

/// What a family may describe and no op computes.
std::string missing_op(const BlockSpec& block) {
  if (const auto* attention = std::get_if<AttentionSpec>(&block.mixer)) {
    if (attention->n_kv_heads != attention->n_heads) return "fewer heads of keys than of queries";
    if (attention->rotary) return "rotary position embeddings";
    if (attention->has_query_key_norm) return "norms of queries and keys";
  }
  if (std::holds_alternative<DenseSpec>(block.feed_forward)) return "a dense feed-forward part";
  return {};
}

void check_computable(const ModelSpec& spec) {
  for (std::int64_t i = 0; i < spec.n_blocks(); ++i)
    if (const std::string missing = missing_op(spec.block(i)); !missing.empty())
      throw Error(
          ErrorKind::unsupported,
          fmt::format("[model] block {} of {}: {}: no op computes it", i, spec.family, missing));
}

}  // namespace

StepGraph record_step(const StepKind& kind, const ModelSpec& spec, const Weights& weights,
                      const StateLayout& layout, const StateIndex& index) {
  check_computable(spec);
  StepGraph step;
  step.graph = std::make_shared<Graph>();
  Graph& graph = *step.graph;
  const auto weight = [&](WeightId id) { return graph.weight(weights.find({id})); };
  const Tensor seen = graph.state(layout, index.seen);
  const Tensor next_token = graph.state(layout, index.next_token);

  graph.set_label("embed");
  Tensor x = embed(weight(WeightId::embedding), seen, next_token, kind.row_bucket);
  if (spec.has_bridges) {
    graph.set_label("input_proj");
    x = linear(x, weight(WeightId::input_bridge));
  }
  for (std::int64_t i = 0; i < spec.n_blocks(); ++i) {
    graph.set_label(fmt::format("layer_{}", i));
    const BlockState& state = index.blocks[static_cast<std::size_t>(i)];
    x = block({graph, spec, weights, layout, state, i}, x);
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
  if (spec.has_bridges) {
    x = linear(x, weight(WeightId::output_bridge), last);
    last = {};
  }
  if (spec.has_final_norm) {
    last.norm = weight(WeightId::final_norm);
    last.eps = static_cast<float>(spec.norm_eps);
  }
  step.logits = linear(x, weight(WeightId::head), last);
  if (kind.output == StepOutput::token) {
    graph.set_label("sample");
    graph.set_result(sample(step.logits, seen, next_token, kind.sampler));
  } else {
    graph.mark_output(step.logits);
  }
  return step;
}

}  // namespace bitaxon
