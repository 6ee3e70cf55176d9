// Turns a recorded graph into a plan: the order of the nodes, the lifetimes of the values, and one
// arena. This needs no device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/node_view.h"

namespace bitaxon {

class BackendDescription;

/// A range of the arena. `first` and `last` are indices in Plan::order: the first and the last node
/// that use the range.
struct Placement {
  std::size_t offset_bytes = 0;
  std::size_t size_bytes = 0;  ///< 0 for a value that is not in the arena
  std::int32_t first = 0;
  std::int32_t last = 0;
};

struct Plan {
  std::shared_ptr<const Graph> graph;
  /// Indices into graph->nodes() in the order of execution, without nodes whose results are unused.
  std::vector<std::int32_t> order;
  std::vector<Placement> values;   ///< indexed by value id
  std::vector<Placement> scratch;  ///< one for each entry of `order`
  /// For each entry of `order`, whether its node runs together with the next one. Then no memory of
  /// one node is reused for the other, and the scratch of the first one is for both.
  std::vector<char> joined;
  std::size_t arena_bytes = 0;
  std::size_t unshared_bytes = 0;  ///< the size that the arena would have without reuse

  /// The node at index `place` of `order`.
  NodeView node(std::size_t place) const {
    return {*graph, graph->nodes()[static_cast<std::size_t>(order[place])]};
  }
  /// Calls visit(node) for the node at `place`, and for the one that is joined with it.
  template <class Visit>
  void visit_joined(std::size_t place, const Visit& visit) const {
    visit(node(place));
    if (joined[place] != 0) visit(node(place + 1));
  }
};

/// Returns the bytes of scratch that a node needs.
using WorkspaceQuery = std::function<std::size_t(const NodeView&)>;
/// Returns the bytes of scratch that two nodes need together, if they are to run together.
using JointWorkspaceQuery =
    std::function<std::optional<std::size_t>(const NodeView& first, const NodeView& second)>;

struct ScheduleOptions {
  /// Whether values and scratch may share memory. Tests compare plans with and without reuse.
  bool reuse = true;
  /// Asked for nodes that follow one another. Without it, each node runs alone.
  JointWorkspaceQuery joint_workspace = {};
};

/// Freezes `graph` and returns a plan for it. The plan has only the nodes that are needed: nodes
/// that write state, and nodes that outputs or other needed nodes depend on.
std::shared_ptr<const Plan> schedule(std::shared_ptr<Graph> graph, const WorkspaceQuery& workspace,
                                     const ScheduleOptions& options = {});
/// Like the other schedule(), with the scratch sizes and the joined nodes of the device that
/// `device` describes.
std::shared_ptr<const Plan> schedule(std::shared_ptr<Graph> graph, const BackendDescription& device,
                                     const ScheduleOptions& options = {});

}  // namespace bitaxon
