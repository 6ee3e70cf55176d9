#include "training/train_graphs.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bitaxon/ops.h"
#include "bitaxon/training_ops.h"
#include "core/gradient.h"
#include "model/block.h"
#include "model/loaded_adapter.h"
#include "ops/checks.h"
#include "ops/op.h"

namespace bitaxon {
namespace {

/// The activations that the nodes [first, last) write, in order.
std::vector<std::int32_t> made_by(const Graph& graph, std::size_t first, std::size_t last) {
  std::vector<std::int32_t> made;
  for (const Node& node : graph.nodes().subspan(first, last - first))
    for (const Operand& operand : node.operands)
      if (operand.value >= 0 && operand.access == Access::write &&
          graph.value(operand.value).kind == ValueKind::activation)
        made.push_back(operand.value);
  return made;
}

/// The number of a part in TrainIndex::kept.
constexpr std::int64_t kFirstPart = 0;
constexpr std::int64_t mixer_part(std::int64_t block) { return 1 + 2 * block; }
constexpr std::int64_t feed_forward_part(std::int64_t block) { return 2 + 2 * block; }
std::int64_t last_part(const ModelSpec& spec) { return 1 + 2 * spec.n_blocks(); }

/// Nodes of a backward graph: [first, last) compute the activations of a part of the model again, and
/// [last, end) compute gradients.
struct PartNodes {
  std::int64_t number = 0;
  std::size_t first = 0, last = 0, end = 0;
};

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

  /// Records the nodes of a part of the model, a function of x, and stores its kept activations.
  template <class Part>
  Tensor forward(std::int64_t number, const Tensor& x, bool keeps, const Part& part) const {
    const std::size_t first = graph_->nodes().size();
    const Tensor y = part(x);
    if (keeps)
      for (const auto& [id, store] : stores_of(number, first))
        save_rows(Tensor(*graph_, id), store);
    return y;
  }

  /// Records the backward nodes of a part of the model. If its activations are not kept, also the
  /// nodes that compute them again. `block` is the block that the part belongs to, or -1. Returns the
  /// gradient of x, or an empty tensor if the embedding is x.
  template <class Part>
  Tensor back(std::int64_t number, std::int64_t block, const Tensor& x, const Tensor& g_y,
              const Part& part) {
    const std::size_t first = graph_->nodes().size();
    const Tensor y = part(x);
    const std::size_t last = graph_->nodes().size();
    if (last == first) return g_y;
    Gradients gradients(*graph_, gradient_rules());
    gradients.set_state(adapter_.parameters, state(model_.index.gradients));
    if (block >= 0) set_states(gradients, model_.index.blocks[static_cast<std::size_t>(block)]);
    if (keeps_activations()) read_kept(gradients, stores_of(number, first));
    gradients.add(y, g_y);
    gradients.record(first, last);
    if (keeps_activations())
      graph_->remove_nodes(first, last);
    else
      parts_.push_back({number, first, last, graph_->nodes().size()});
    return gradients.of(x);
  }

  bool keeps_activations() const { return !model_.index.kept.empty(); }
  /// The nodes of the parts, if their activations are not kept.
  std::span<const PartNodes> parts() const { return parts_; }

 private:
  /// The store of each kept activation that the nodes from `first` on write, by id.
  std::map<std::int32_t, Tensor> stores_of(std::int64_t number, std::size_t first) const {
    std::map<std::int32_t, Tensor> stores;
    if (!keeps_activations()) return stores;
    const std::vector<std::int32_t> made = made_by(*graph_, first, graph_->nodes().size());
    for (const KeptActivation& kept : model_.index.kept[static_cast<std::size_t>(number)])
      stores.emplace(made[static_cast<std::size_t>(kept.number)], state(kept.store));
    return stores;
  }

  static void read_kept(Gradients& gradients, std::map<std::int32_t, Tensor> stores) {
    gradients.set_stand_in([stores = std::move(stores), loaded = std::map<std::int32_t, Tensor>()](
                               const Tensor& value) mutable {
      // A rule may ask for the shape only. Then there is no store, and no node reads the value.
      const auto store = stores.find(value.id());
      if (store == stores.end()) return value;
      const auto [found, is_new] = loaded.try_emplace(value.id());
      if (is_new) found->second = load_rows(store->second, value.shape()[0]);
      return found->second;
    });
  }

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
  std::vector<PartNodes> parts_;
};

/// Records the backward pass, from the last part of the model to the first.
void record_backward(Recorder& recorder, const TrainedModel& model, std::int64_t n_rows) {
  Graph& graph = *recorder.graph();
  const auto load = [&](std::int32_t store) { return load_rows(recorder.state(store), n_rows); };
  graph.set_label("output_proj");
  Tensor gradient =
      recorder.back(last_part(model.spec), -1, load(model.index.last), load(model.index.g_head),
                    [&](const Tensor& x) { return recorder.end(x); });
  for (std::int64_t i = model.spec.n_blocks(); i-- > 0;) {
    const TrainBlock& block = model.index.blocks[static_cast<std::size_t>(i)];
    graph.set_label(fmt::format("layer_{}", i));
    if (block.middle >= 0)
      gradient =
          recorder.back(feed_forward_part(i), i, load(block.middle), gradient,
                        [&](const Tensor& x) { return feed_forward(recorder.context(i), x); });
    gradient = recorder.back(mixer_part(i), i, load(block.input), gradient,
                             [&](const Tensor& x) { return mixer(recorder.context(i), x); });
  }
  recorder.back(kFirstPart, -1, recorder.embedding(n_rows), gradient,
                [&](const Tensor& x) { return recorder.begin(x); });
}

}  // namespace

void keep_activations(const TrainedModel& model, std::int64_t n_rows, StateLayout& layout,
                      TrainIndex& index) {
  Recorder recorder(model);
  record_backward(recorder, model, 1);
  const Graph& graph = *recorder.graph();
  std::vector<std::vector<KeptActivation>> kept(static_cast<std::size_t>(last_part(model.spec)) +
                                                1);
  for (const PartNodes& part : recorder.parts()) {
    std::set<std::int32_t> read;
    for (const Node& node : graph.nodes().subspan(part.last, part.end - part.last))
      for (const Operand& operand : node.operands) read.insert(operand.value);
    const std::vector<std::int32_t> made = made_by(graph, part.first, part.last);
    for (std::size_t i = 0; i < made.size(); ++i) {
      if (!read.contains(made[i])) continue;
      const Value& value = graph.value(made[i]);
      const std::string name = fmt::format("kept_{}.{}", part.number, i);
      kept[static_cast<std::size_t>(part.number)].push_back(
          {static_cast<std::int32_t>(i),
           layout.add_shared(name, value.dtype, rows_like(value.shape, n_rows))});
    }
  }
  index.kept = std::move(kept);
}

std::shared_ptr<Graph> forward_graph(const TrainedModel& model, std::int64_t n_rows,
                                     bool keeps_rows) {
  const Recorder recorder(model);
  Graph& graph = *recorder.graph();
  const auto keep = [&](const Tensor& x, std::int32_t store) {
    if (keeps_rows && store >= 0) save_rows(x, recorder.state(store));
  };
  graph.set_label("embed");
  Tensor x = recorder.forward(kFirstPart, recorder.embedding(n_rows), keeps_rows,
                              [&](const Tensor& from) { return recorder.begin(from); });
  for (std::int64_t i = 0; i < model.spec.n_blocks(); ++i) {
    const TrainBlock& block = model.index.blocks[static_cast<std::size_t>(i)];
    graph.set_label(fmt::format("layer_{}", i));
    keep(x, block.input);
    x = recorder.forward(mixer_part(i), x, keeps_rows,
                         [&](const Tensor& from) { return mixer(recorder.context(i), from); });
    keep(x, block.middle);
    x = recorder.forward(feed_forward_part(i), x, keeps_rows, [&](const Tensor& from) {
      return feed_forward(recorder.context(i), from);
    });
  }
  keep(x, model.index.last);
  x = recorder.forward(last_part(model.spec), x, keeps_rows,
                       [&](const Tensor& from) { return recorder.end(from); });
  save_rows(x, recorder.state(model.index.head));
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
  Recorder recorder(model);
  record_backward(recorder, model, n_rows);
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
