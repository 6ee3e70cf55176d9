// From a recorded graph to a plan: order, lifetimes, one arena. Pure host arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/node_view.h"

namespace bitaxon {

class BackendDescription;

/// A range of the arena, and the first and the last place in Plan::order at which it is in use.
struct Placement {
  std::size_t offset_bytes = 0;
  std::size_t size_bytes = 0;  ///< 0: not in the arena
  std::int32_t first = 0;
  std::int32_t last = 0;
};

struct Plan {
  std::shared_ptr<const Graph> graph;
  /// Indices into graph->nodes(), without the nodes whose results nobody needs.
  std::vector<std::int32_t> order;
  std::vector<Placement> values;   ///< by value id
  std::vector<Placement> scratch;  ///< by place in `order`
  std::size_t arena_bytes = 0;
  std::size_t unshared_bytes = 0;  ///< what the arena would be if nothing were reused

  /// The node at a place in `order`.
  NodeView node(std::size_t place) const {
    return {*graph, graph->nodes()[static_cast<std::size_t>(order[place])]};
  }
};

struct ScheduleOptions {
  /// false: every value and scratch gets a place of its own. For tests, which compare.
  bool reuse = true;
};

/// Bytes of scratch that a node needs.
using WorkspaceQuery = std::function<std::size_t(const NodeView&)>;

/// Freezes `graph` and plans it. A node is kept when it writes state or its results reach an
/// output.
std::shared_ptr<const Plan> schedule(std::shared_ptr<Graph> graph, const WorkspaceQuery& workspace,
                                     const ScheduleOptions& options = {});
/// Plans for the backend that will run the plan.
std::shared_ptr<const Plan> schedule(std::shared_ptr<Graph> graph, const BackendDescription& device,
                                     const ScheduleOptions& options = {});

}  // namespace bitaxon
