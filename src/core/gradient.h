// Walks a recorded graph backwards and records the nodes that compute gradients.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "core/graph.h"

namespace bitaxon {

class Gradients;

/// One node of the forward graph, for the rule that records its backward nodes. Operands are counted
/// in the op's order.
class NodeGradient {
 public:
  NodeGradient(Gradients& gradients, std::size_t node) : gradients_(gradients), node_(node) {}

  /// The operand as a tensor. Empty if the optional operand is absent.
  Tensor operand(int index) const;
  template <class Params>
  Params params() const {
    return node().params_as<Params>();
  }
  /// The gradient of an operand that the node writes. Empty if nothing depends on it.
  Tensor of_output(int index) const;
  /// Adds `gradient` to the gradient of an operand that the node reads. An operand that is no
  /// activation, or absent, has no gradient: nothing happens.
  void add(int index, const Tensor& gradient) const;
  /// The state tensor that holds the gradient of a state operand.
  Tensor of_state(int index) const;

 private:
  const Node& node() const;
  /// The operand that the node was recorded with.
  Tensor recorded(int index) const;

  Gradients& gradients_;
  std::size_t node_;
};

/// Records the backward nodes of one node. Called only if a gradient of an output exists.
using GradientRule = void (*)(const NodeGradient& node);

/// What Gradients must know about ops.
struct GradientRules {
  /// The rule of a node's op. nullptr if the op has no gradient.
  GradientRule (*of)(const Node& node);
  /// Records the sum of two gradients of one value.
  Tensor (*sum)(const Tensor& a, const Tensor& b);
};

/// The gradients of values of a graph. Give the gradients of the results with add(), then record()
/// the backward nodes.
class Gradients {
 public:
  Gradients(Graph& graph, const GradientRules& rules) : graph_(graph), rules_(rules) {}

  /// Adds to the gradient of a value.
  void add(const Tensor& value, const Tensor& gradient);
  /// The gradient of a value so far. Empty if the value has none.
  Tensor of(const Tensor& value) const;
  /// Names the state tensor that holds the gradient of a state tensor.
  void set_state(const Tensor& state, const Tensor& gradient);

  /// What the backward nodes read in the place of an activation of the forward nodes. Without a
  /// function, they read the activation itself.
  void set_stand_in(std::function<Tensor(const Tensor&)> stand_in) {
    stand_in_ = std::move(stand_in);
  }

  /// Walks the nodes [first, last) of the graph from the last one to the first, and records their
  /// backward nodes behind them. Throws Error(invalid_argument) that names an op without a gradient
  /// whose output has a gradient.
  void record(std::size_t first, std::size_t last);

 private:
  friend class NodeGradient;

  Graph& graph_;
  const GradientRules& rules_;
  std::function<Tensor(const Tensor&)> stand_in_;
  std::map<std::int32_t, Tensor> values_;  ///< by id of the value
  std::map<std::int32_t, Tensor> states_;
};

}  // namespace bitaxon
