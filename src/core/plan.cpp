#include "core/plan.h"

#include <algorithm>

#include "core/align.h"
#include "core/assert.h"
#include "core/backend_description.h"

namespace bitaxon {
namespace {

std::size_t aligned(std::size_t bytes) { return align_up(bytes, kBufferAlignment); }

bool lives_in_arena(const Value& value) {
  return value.kind == ValueKind::activation || value.kind == ValueKind::input;
}

/// The nodes that write state, and the nodes that outputs or these nodes depend on. The search goes
/// through the nodes backwards.
std::vector<std::int32_t> live_nodes(const Graph& graph) {
  std::vector<char> needed(graph.values().size(), 0);
  for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = graph.values()[i].is_output;
  std::vector<std::int32_t> order;
  for (std::size_t n = graph.nodes().size(); n-- > 0;) {
    const Node& node = graph.nodes()[n];
    const bool live =
        std::any_of(node.operands.begin(), node.operands.end(), [&](const Operand& operand) {
          if (operand.value < 0 || operand.access == Access::read) return false;
          return graph.value(operand.value).kind == ValueKind::state ||
                 needed[static_cast<std::size_t>(operand.value)] != 0;
        });
    if (!live) continue;
    for (const Operand& operand : node.operands)
      if (operand.value >= 0) needed[static_cast<std::size_t>(operand.value)] = 1;
    order.push_back(static_cast<std::int32_t>(n));
  }
  std::reverse(order.begin(), order.end());
  return order;
}

/// Joins nodes that the device runs together, and finds the sizes of scratch.
void find_scratch(Plan& plan, const WorkspaceQuery& workspace,
                  const JointWorkspaceQuery& joint_workspace) {
  const std::size_t n = plan.order.size();
  plan.scratch.resize(n);
  plan.joined.assign(n, 0);
  for (std::size_t place = 0; place < n; ++place) {
    Placement& scratch = plan.scratch[place];
    scratch.first = scratch.last = static_cast<std::int32_t>(place);
    std::optional<std::size_t> together;
    if (joint_workspace && place + 1 < n)
      together = joint_workspace(plan.node(place), plan.node(place + 1));
    if (!together) {
      scratch.size_bytes = workspace(plan.node(place));
      continue;
    }
    plan.joined[place] = 1;
    scratch.size_bytes = *together;
    ++scratch.last;
    ++place;  // the second node needs no scratch of its own, and is not joined with a third one
  }
}

void find_lifetimes(Plan& plan) {
  const Graph& graph = *plan.graph;
  std::vector<char> seen(graph.values().size(), 0);
  const auto end = static_cast<std::int32_t>(plan.order.size());
  for (std::int32_t place = 0; place < end; ++place) {
    for (const Operand& operand : plan.node(static_cast<std::size_t>(place)).node().operands) {
      if (operand.value < 0 || !lives_in_arena(graph.value(operand.value))) continue;
      const auto id = static_cast<std::size_t>(operand.value);
      Placement& placement = plan.values[id];
      const auto at = static_cast<std::size_t>(place);
      const std::int32_t first = place > 0 && plan.joined[at - 1] != 0 ? place - 1 : place;
      if (seen[id] == 0) placement.first = first;
      placement.last = plan.joined[at] != 0 ? place + 1 : place;
      seen[id] = 1;
    }
  }
  for (std::size_t id = 0; id < graph.values().size(); ++id) {
    const Value& value = graph.values()[id];
    if (!lives_in_arena(value) || (seen[id] == 0 && !value.is_output)) continue;
    Placement& placement = plan.values[id];
    placement.size_bytes = static_cast<std::size_t>(value.shape.elements()) * size_of(value.dtype);
    if (value.kind == ValueKind::input) placement.first = 0;  // filled before the first node
    if (value.is_output) placement.last = end;                // read after the last node
  }
}

/// Gives each value an offset in the arena. Works greedily, with the largest value first. A value
/// gets the lowest offset where it overlaps no placement that is in use at the same time. For
/// chains of layers, such as these graphs, the result is near the optimum (Pisarchyk & Lee 2020,
/// "Efficient memory management for deep neural net inference", section 5).
void place_all(Plan& plan, bool reuse) {
  std::vector<Placement*> by_size;
  for (Placement& placement : plan.values)
    if (placement.size_bytes > 0) by_size.push_back(&placement);
  for (Placement& placement : plan.scratch)
    if (placement.size_bytes > 0) by_size.push_back(&placement);
  std::stable_sort(by_size.begin(), by_size.end(), [](const Placement* a, const Placement* b) {
    return a->size_bytes > b->size_bytes;
  });
  std::vector<Placement*> placed;  // sorted by offset
  for (Placement* next : by_size) {
    plan.unshared_bytes += aligned(next->size_bytes);
    std::size_t offset = 0;
    for (const Placement* other : placed) {
      if (reuse && (other->last < next->first || next->last < other->first)) continue;
      if (offset + next->size_bytes <= other->offset_bytes) break;
      offset = std::max(offset, aligned(other->offset_bytes + other->size_bytes));
    }
    next->offset_bytes = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, aligned(offset + next->size_bytes));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), next,
                                   [](const Placement* a, const Placement* b) {
                                     return a->offset_bytes < b->offset_bytes;
                                   }),
                  next);
  }
}

}  // namespace

std::shared_ptr<const Plan> schedule(std::shared_ptr<Graph> graph, const WorkspaceQuery& workspace,
                                     const ScheduleOptions& options) {
  graph->freeze();
  auto plan = std::make_shared<Plan>();
  plan->order = live_nodes(*graph);
  plan->values.resize(graph->values().size());
  plan->graph = std::move(graph);
  find_scratch(*plan, workspace, options.joint_workspace);
  find_lifetimes(*plan);
  place_all(*plan, options.reuse);
  return plan;
}

std::shared_ptr<const Plan> schedule(std::shared_ptr<Graph> graph, const BackendDescription& device,
                                     const ScheduleOptions& options) {
  ScheduleOptions of_device = options;
  of_device.joint_workspace = [&](const NodeView& first, const NodeView& second) {
    return device.joint_workspace(first, second);
  };
  return schedule(
      std::move(graph), [&](const NodeView& node) { return device.workspace(node); }, of_device);
}

}  // namespace bitaxon
