// Turns a recorded graph into a plan: order, lifetimes and one arena. Needs no device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/node_view.h"

namespace bitaxon {

class BackendDescription;

/// A range of the arena, and the first and the last index in Plan::order at which it is in use.
struct Placement {
  std::size_t offset_bytes = 0;
  std::size_t size_bytes = 0;  ///< 0: the value is not in the arena
  std::int32_t first = 0;
  std::int32_t last = 0;
};

struct Plan {
  std::shared_ptr<const Graph> graph;
  /// Indices into graph->nodes() in the order of execution, without nodes whose results are unused.
  std::vector<std::int32_t> order;
  std::vector<Placement> values;   ///< indexed by value id
  std::vector<Placement> scratch;  ///< indexed as `order` is
  std::size_t arena_bytes = 0;
  std::size_t unshared_bytes = 0;  ///< the arena's size without reuse of memory

  /// The node at index `place` of `order`.
  NodeView node(std::size_t place) const {
    return {*graph, graph->nodes()[static_cast<std::size_t>(order[place])]};
  }
};

struct ScheduleOptions {
  /// If false, each value and each scratch gets memory of its own. Tests compare both ways.
  bool reuse = true;
};

/// Returns the bytes of scratch that a node needs.
using WorkspaceQuery = std::function<std::size_t(const NodeView&)>;

/// Freezes `graph` and plans it. A node is kept if it writes state, or if an output depends on its
/// results.
std::shared_ptr<const Plan> schedule(std::shared_ptr<Graph> graph, const WorkspaceQuery& workspace,
                                     const ScheduleOptions& options = {});
/// As above, with the scratch sizes of the backend that runs the plan.
std::shared_ptr<const Plan> schedule(std::shared_ptr<Graph> graph, const BackendDescription& device,
                                     const ScheduleOptions& options = {});

}  // namespace bitaxon
