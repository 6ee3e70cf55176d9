#include "training/train_graphs.h"

#include <fmt/format.h>

#include "bitaxon/ops.h"
#include "bitaxon/training_ops.h"
#include "core/gradient.h"
#include "model/block.h"
#include "model/loaded_adapter.h"
#include "ops/op.h"

namespace bitaxon {
namespace {

/// A graph under construction, with the tensors of a trained model.
class Recorder {
 public:
  explicit Recorder(const TrainedModel& model) : model_(model), graph_(std::make_shared<Graph>()) {
    adapter_ = {.set = &model.adapter,
                .parameters = state(model.index.parameters),
                .norms = state(model.index.norms),
                .masks = model.index.masks < 0 ? Tensor() : state(model.index.masks),
                .differentiable = true};
  }

  std::shared_ptr<Graph> graph() const { return graph_; }
  const AdapterTensors& adapter() const { return adapter_; }
  Tensor state(std::int32_t index) const { return graph_->state(model_.layout, index); }
  Tensor weight(WeightId id) const { return graph_->weight(model_.weights.find({id})); }
  BlockContext context(std::int64_t block) const {
    static constexpr BlockState kNone;
    const BlockState& state =
        block < 0 ? kNone : model_.index.blocks[static_cast<std::size_t>(block)].forward;
    return {*graph_, model_.spec, model_.weights, model_.layout, state, block, &adapter_};
  }

  Tensor embedding(std::int64_t n_rows) const {
    return embed(weight(WeightId::embedding), state(model_.index.seen),
                 state(model_.index.next_token), n_rows);
  }
  /// The part between embedding and first block.
  Tensor begin(const Tensor& x) const {
    graph_->set_label("input_proj");
    return model_.spec.has_bridges ? projection(context(-1), x, WeightId::input_bridge) : x;
  }
  /// The part between last block and head.
  Tensor end(Tensor x) const {
    graph_->set_label("output_proj");
    if (model_.spec.has_bridges) x = projection(context(-1), x, WeightId::output_bridge);
    return model_.spec.has_final_norm ? normed(context(-1), x, WeightId::final_norm) : x;
  }

  /// Records the nodes of `part`, a function of x, and then its backward nodes. `block` is the block
  /// that the part belongs to, or -1. Returns the gradient of x, or an empty tensor if the embedding
  /// is x.
  template <class Part>
  Tensor back(std::int64_t block, const Tensor& x, const Tensor& g_y, const Part& part) const {
    const std::size_t first = graph_->nodes().size();
    const Tensor y = part(x);
    const std::size_t last = graph_->nodes().size();
    if (last == first) return g_y;
    Gradients gradients(*graph_, gradient_rules());
    gradients.set_state(adapter_.parameters, state(model_.index.gradients));
    if (block >= 0) set_states(gradients, model_.index.blocks[static_cast<std::size_t>(block)]);
    gradients.add(y, g_y);
    gradients.record(first, last);
    return gradients.of(x);
  }

 private:
  void set_states(Gradients& gradients, const TrainBlock& block) const {
    const auto set = [&](std::int32_t of, std::int32_t gradient) {
      if (of >= 0) gradients.set_state(state(of), state(gradient));
    };
    set(block.forward.conv_tail, block.conv_carry);
    set(block.forward.h, block.h_carry);
    set(block.forward.keys, block.g_keys);
    set(block.forward.values, block.g_values);
  }

  const TrainedModel& model_;
  std::shared_ptr<Graph> graph_;
  AdapterTensors adapter_;
};

}  // namespace

std::shared_ptr<Graph> forward_graph(const TrainedModel& model, std::int64_t n_rows,
                                     bool keeps_rows) {
  const Recorder recorder(model);
  Graph& graph = *recorder.graph();
  const auto keep = [&](const Tensor& x, std::int32_t store) {
    if (keeps_rows && store >= 0) save_rows(x, recorder.state(store));
  };
  graph.set_label("embed");
  Tensor x = recorder.begin(recorder.embedding(n_rows));
  for (std::int64_t i = 0; i < model.spec.n_blocks(); ++i) {
    const TrainBlock& block = model.index.blocks[static_cast<std::size_t>(i)];
    graph.set_label(fmt::format("layer_{}", i));
    keep(x, block.input);
    x = mixer(recorder.context(i), x);
    keep(x, block.middle);
    x = feed_forward(recorder.context(i), x);
  }
  keep(x, model.index.last);
  save_rows(recorder.end(x), recorder.state(model.index.head));
  return recorder.graph();
}

std::shared_ptr<Graph> head_graph(const TrainedModel& model, std::int64_t n_outputs,
                                  bool differentiates) {
  const Recorder recorder(model);
  recorder.graph()->set_label("head");
  const Tensor x = load_rows(recorder.state(model.index.head), n_outputs, RowSelect::outputs);
  const Tensor weight = recorder.weight(WeightId::head);
  const Tensor gradient = cross_entropy(linear(x, weight), recorder.state(model.index.factors),
                                        recorder.state(model.index.log_probs));
  if (differentiates)
    save_rows(linear_backward(gradient, weight, model.spec.d_embedding),
              recorder.state(model.index.g_head));
  return recorder.graph();
}

std::shared_ptr<Graph> backward_graph(const TrainedModel& model, std::int64_t n_rows) {
  const Recorder recorder(model);
  Graph& graph = *recorder.graph();
  const auto load = [&](std::int32_t store) { return load_rows(recorder.state(store), n_rows); };
  graph.set_label("output_proj");
  Tensor gradient = recorder.back(-1, load(model.index.last), load(model.index.g_head),
                                  [&](const Tensor& x) { return recorder.end(x); });
  for (std::int64_t i = model.spec.n_blocks(); i-- > 0;) {
    const TrainBlock& block = model.index.blocks[static_cast<std::size_t>(i)];
    graph.set_label(fmt::format("layer_{}", i));
    if (block.middle >= 0)
      gradient = recorder.back(i, load(block.middle), gradient, [&](const Tensor& x) {
        return feed_forward(recorder.context(i), x);
      });
    gradient = recorder.back(i, load(block.input), gradient,
                             [&](const Tensor& x) { return mixer(recorder.context(i), x); });
  }
  recorder.back(-1, recorder.embedding(n_rows), gradient,
                [&](const Tensor& x) { return recorder.begin(x); });
  return recorder.graph();
}

std::shared_ptr<Graph> norms_graph(const TrainedModel& model) {
  const Recorder recorder(model);
  record_norms(*recorder.graph(), model.weights, recorder.adapter());
  return recorder.graph();
}

std::shared_ptr<Graph> squares_graph(const TrainedModel& model) {
  const Recorder recorder(model);
  sum_squares(recorder.state(model.index.gradients), recorder.state(model.index.squares));
  return recorder.graph();
}

std::shared_ptr<Graph> update_graph(const TrainedModel& model) {
  const Recorder recorder(model);
  adamw(recorder.state(model.index.parameters), recorder.state(model.index.gradients),
        recorder.state(model.index.first_moment), recorder.state(model.index.second_moment),
        recorder.state(model.index.numbers));
  return recorder.graph();
}

}  // namespace bitaxon
