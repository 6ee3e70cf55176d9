// The graphs of training. A pass runs `forward` for each step in order, `head` for groups of target
// rows, then `backward` for each step in reverse order.
#pragma once

#include <cstdint>
#include <memory>

#include "bitaxon/model_spec.h"
#include "core/graph.h"
#include "core/state_layout.h"
#include "model/adapter_set.h"
#include "model/weights.h"
#include "training/train_state.h"

namespace bitaxon {

/// What the graphs of a trained model are recorded from. All references must outlive the graphs.
struct TrainedModel {
  const ModelSpec& spec;
  const Weights& weights;
  const StateLayout& layout;
  const TrainIndex& index;
  const AdapterSet& adapter;
};

/// Adds stores of `n_rows` rows to the layout for all activations that the backward pass reads. Then
/// the backward pass computes none of them again.
void keep_activations(const TrainedModel& model, std::int64_t n_rows, StateLayout& layout,
                      TrainIndex& index);

/// Computes the rows in front of the head. With `keeps_rows`, also stores the rows that
/// backward_graph() begins with, and the kept activations.
std::shared_ptr<Graph> forward_graph(const TrainedModel& model, std::int64_t n_rows,
                                     bool keeps_rows);
/// Computes the log-probabilities of labels and, with `differentiates`, the gradients of the rows in
/// front of the head. The outputs of the step are rows of the store.
std::shared_ptr<Graph> head_graph(const TrainedModel& model, std::int64_t n_outputs,
                                  bool differentiates);
/// Computes each half of a block again from its stored input, unless its activations are kept, and
/// then its gradients, from the head to the embedding. Adds the gradients of parameters to their
/// vector.
std::shared_ptr<Graph> backward_graph(const TrainedModel& model, std::int64_t n_rows);
/// Computes the norms of DoRA.
std::shared_ptr<Graph> norms_graph(const TrainedModel& model);
/// The sum of squares of the gradients.
std::shared_ptr<Graph> squares_graph(const TrainedModel& model);
/// The update of all parameters.
std::shared_ptr<Graph> update_graph(const TrainedModel& model);

}  // namespace bitaxon
