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

std::int64_t rows_read(StepOutput output, std::int64_t n_rows) {
  switch (output) {
    case StepOutput::all_logits:
      return n_rows;
    case StepOutput::last_logits:
      return 1;
    case StepOutput::none:
    case StepOutput::token:
      break;
  }
  return 0;
}

void StepDemand::add(std::int64_t rows, StepOutput output, const SamplerParams& params) {
  n_rows += rows;
  ++n_segments;
  n_read += rows_read(output, rows);
  if (output != StepOutput::token) return;
  ++n_sampled;
  const SamplerStructure structure = params.structure();
  sampler.penalty = sampler.penalty || structure.penalty;
  sampler.draw = sampler.draw || structure.draw;
}

StepKind kind_of(const StepDemand& demand, bool layer_outputs) {
  StepKind kind;
  kind.row_bucket = bucket_of(demand.n_rows);
  kind.layer_outputs = layer_outputs;
  const std::int64_t n_outputs = demand.n_read + demand.n_sampled;
  if (n_outputs > 0) kind.output_bucket = bucket_of(n_outputs);
  kind.all_rows = demand.n_read == demand.n_rows;
  kind.reads_logits = demand.n_read > 0;
  if (demand.n_sampled > 0) kind.token_bucket = bucket_of(demand.n_segments);
  kind.sampler = demand.sampler;
  return kind;
}

namespace {

/// A feature of the block that no op computes. Empty if all features can be computed.
std::string missing_op(const BlockSpec& block) {
  if (const auto* attention = std::get_if<AttentionSpec>(&block.mixer)) {
    if (attention->rotary && attention->rotary->n_dims != attention->head_dim)
      return "rotation of a part of a head";
  }
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
                      const StateLayout& layout, const StateIndex& index,
                      const AdapterSet* adapter) {
  check_computable(spec);
  StepGraph step;
  step.graph = std::make_shared<Graph>();
  Graph& graph = *step.graph;
  const auto weight = [&](WeightId id) { return graph.weight(weights.find({id})); };
  const Tensor seen = graph.state(layout, index.seen);
  const Tensor next_token = graph.state(layout, index.next_token);

  AdapterTensors tensors;
  if (adapter != nullptr)
    tensors = {.set = adapter,
               .parameters = graph.state(layout, index.adapter_parameters),
               .norms = graph.state(layout, index.adapter_norms)};
  const BlockState no_state;
  const auto context = [&](std::int64_t i) {
    const BlockState& state = i < 0 ? no_state : index.blocks[static_cast<std::size_t>(i)];
    return BlockContext{
        graph, spec, weights, layout, state, i, adapter == nullptr ? nullptr : &tensors};
  };
  graph.set_label("embed");
  Tensor x = embed(weight(WeightId::embedding), seen, next_token, kind.row_bucket);
  if (spec.has_bridges) {
    graph.set_label("input_proj");
    x = projection(context(-1), x, WeightId::input_bridge);
  }
  for (std::int64_t i = 0; i < spec.n_blocks(); ++i) {
    graph.set_label(fmt::format("layer_{}", i));
    x = block(context(i), x);
    if (!kind.layer_outputs) continue;
    graph.mark_output(x);
    step.layers.push_back(x);
  }
  if (kind.output_bucket == 0) return step;

  graph.set_label("head");
  LinearOptions last;
  if (!kind.all_rows) {
    last.select = RowSelect::outputs;
    last.n_outputs = kind.output_bucket;
  }
  if (context(-1).is_split({WeightId::output_bridge})) {
    // An adapter computes all rows. The head selects rows.
    x = projection(context(-1), x, WeightId::output_bridge);
  } else if (spec.has_bridges) {
    x = linear(x, weight(WeightId::output_bridge), last);
    last = {};
  }
  if (spec.has_final_norm) {
    last.norm = weight(WeightId::final_norm);
    last.eps = static_cast<float>(spec.norm_eps);
  }
  const Tensor logits = linear(x, weight(WeightId::head), last);
  if (kind.reads_logits) {
    graph.mark_output(logits);
    step.logits = logits;
  }
  if (kind.token_bucket > 0) {
    graph.set_label("sample");
    graph.set_result(sample(logits, seen, next_token, kind.sampler, kind.token_bucket));
  }
  return step;
}

}  // namespace bitaxon
