// A node together with the values of its operands, for kernels and costs.
#pragma once

#include <cstddef>

#include "core/graph.h"

namespace bitaxon {

/// A view of a node. Its accessors take the index of an operand in the op's order. The graph must
/// outlive the view.
class NodeView {
 public:
  NodeView(const Graph& graph, const Node& node) : graph_(&graph), node_(&node) {}

  const Graph& graph() const { return *graph_; }
  const Node& node() const { return *node_; }
  const Operand& operand(int index) const {
    return node_->operands[static_cast<std::size_t>(index)];
  }
  /// Whether an optional operand is present. The accessors below require a present operand.
  bool has(int index) const { return operand(index).value >= 0; }
  const Value& value(int index) const { return graph_->value(operand(index).value); }
  const Shape& shape(int index) const { return value(index).shape; }
  template <class Params>
  Params params() const {
    return node_->params_as<Params>();
  }

 private:
  const Graph* graph_;
  const Node* node_;
};

}  // namespace bitaxon
