// Tests of the schedule of a graph: which nodes run, how long values live, and where they lie in
// memory.
#include "core/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "cases/op_case.h"
#include "core_tests/toy_graph.h"

namespace bitaxon::test {
namespace {

std::size_t no_scratch(const NodeView&) { return 0; }

TEST(Schedule, DropsUnusedNodes) {
  auto graph = std::make_shared<Graph>();
  const Tensor x = graph->input(DType::f32, {4, 8});
  const Tensor unused = toy_node(*graph, {x}, 8);
  const Tensor y = toy_node(*graph, {x}, 8);
  const Tensor dead_end = toy_node(*graph, {unused, y}, 8);
  const Tensor z = toy_node(*graph, {y}, 8);
  graph->mark_output(z);
  const auto plan = schedule(graph, no_scratch);
  EXPECT_EQ(plan->order, (std::vector<std::int32_t>{1, 3}));
  for (const Tensor& tensor : {unused, dead_end})
    EXPECT_EQ(plan->values[static_cast<std::size_t>(tensor.id())].size_bytes, 0U);
}

TEST(Schedule, KeepsNodesThatWriteState) {
  auto graph = std::make_shared<Graph>();
  StateLayout layout;
  layout.add("s", DType::f32, {4}, 2);
  const Tensor s = graph->state(layout, 0);
  const Tensor x = graph->input(DType::f32, {4, 8});
  const Tensor feeds = toy_node(*graph, {x}, 8);
  toy_node(*graph, {feeds}, 8, {}, s);  // writes state, but its result is unused
  toy_node(*graph, {s}, 8);             // only reads state
  const auto plan = schedule(graph, no_scratch);
  EXPECT_EQ(plan->order, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(plan->values[static_cast<std::size_t>(s.id())].size_bytes, 0U)
      << "state is not in the arena";
}

TEST(Schedule, AcceptsAnEmptyGraph) {
  auto graph = std::make_shared<Graph>();
  graph->input(DType::f32, {4, 8});
  const auto plan = schedule(graph, no_scratch);
  EXPECT_TRUE(plan->order.empty());
  EXPECT_EQ(plan->arena_bytes, 0U);
}

TEST(Schedule, AChainReusesMemory) {
  auto graph = std::make_shared<Graph>();
  Tensor x = graph->input(DType::f32, {4, 64});
  for (int i = 0; i < 10; ++i) x = toy_node(*graph, {x}, 64);
  graph->mark_output(x);
  const auto plan = schedule(graph, no_scratch);
  EXPECT_EQ(plan->arena_bytes, 2 * 4 * 64 * sizeof(float));
  EXPECT_EQ(plan->unshared_bytes, 11 * 4 * 64 * sizeof(float));
}

/// A range of the arena, and the first and last step that need this range. needs_of() finds these
/// steps in the graph, not in the lifetimes of the plan. Two joined nodes are needed at both steps.
struct Need {
  Placement place;
  std::int32_t first, last;
};

std::vector<Need> needs_of(const Plan& plan) {
  const Graph& graph = *plan.graph;
  std::map<std::int32_t, Need> by_value;
  const auto end = static_cast<std::int32_t>(plan.order.size());
  const auto is_joined = [&](std::int32_t step) {
    return step >= 0 && plan.joined[static_cast<std::size_t>(step)] != 0;
  };
  const auto begin_of = [&](std::int32_t step) { return is_joined(step - 1) ? step - 1 : step; };
  const auto end_of = [&](std::int32_t step) { return is_joined(step) ? step + 1 : step; };
  for (std::int32_t step = 0; step < end; ++step)
    for (const Operand& operand :
         graph.nodes()[static_cast<std::size_t>(plan.order[static_cast<std::size_t>(step)])]
             .operands) {
      if (operand.value < 0) continue;
      const Value& value = graph.value(operand.value);
      if (value.kind != ValueKind::activation && value.kind != ValueKind::input) continue;
      const Placement& place = plan.values[static_cast<std::size_t>(operand.value)];
      const std::int32_t first = value.kind == ValueKind::input ? 0 : begin_of(step);
      auto [it, is_new] = by_value.try_emplace(operand.value, Need{place, first, step});
      it->second.last = value.is_output ? end : end_of(step);
    }
  std::vector<Need> needs;
  for (const auto& [id, need] : by_value) {
    EXPECT_EQ(need.place.size_bytes, static_cast<std::size_t>(graph.value(id).shape.elements()) *
                                         size_of(graph.value(id).dtype));
    needs.push_back(need);
  }
  for (std::int32_t step = 0; step < end; ++step)
    needs.push_back({plan.scratch[static_cast<std::size_t>(step)], begin_of(step), end_of(step)});
  return needs;
}

void expect_disjoint(const Plan& plan, bool whole_time) {
  const auto needs = needs_of(plan);
  for (std::size_t i = 0; i < needs.size(); ++i) {
    const Placement& a = needs[i].place;
    EXPECT_EQ(a.offset_bytes % 256, 0U);
    EXPECT_LE(a.offset_bytes + a.size_bytes, plan.arena_bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const Placement& b = needs[j].place;
      const bool together =
          whole_time || (needs[i].first <= needs[j].last && needs[j].first <= needs[i].last);
      const bool overlap = a.size_bytes > 0 && b.size_bytes > 0 &&
                           a.offset_bytes < b.offset_bytes + b.size_bytes &&
                           b.offset_bytes < a.offset_bytes + a.size_bytes;
      EXPECT_FALSE(together && overlap);
    }
  }
}

std::shared_ptr<Graph> random_graph(Random& random) {
  auto graph = std::make_shared<Graph>();
  std::vector<Tensor> values;
  for (std::int64_t i = 0; i <= random.below(3); ++i)
    values.push_back(graph->input(DType::f32, {4, 1 + random.below(100)}));
  const auto any = [&] {
    return values[static_cast<std::size_t>(random.below(std::ssize(values)))];
  };
  const std::int64_t n_nodes = 1 + random.below(40);
  for (std::int64_t i = 0; i < n_nodes; ++i)
    values.push_back(toy_node(*graph, {any(), values.back(), any()}, 1 + random.below(200)));
  graph->mark_output(values.back());
  for (std::int64_t i = 0; i < random.below(4); ++i) graph->mark_output(any());
  return graph;
}

TEST(Schedule, ValuesThatAreAliveTogetherDoNotOverlap) {
  Random random("plan");
  for (int round = 0; round < 300; ++round) {
    const auto graph = random_graph(random);
    const auto scratch = [](const NodeView& node) {
      return static_cast<std::size_t>(node.node().operands.back().value % 5) * 300;
    };
    const bool reuse = round % 4 != 0;
    const auto plan = schedule(graph, scratch, {.reuse = reuse});
    SCOPED_TRACE(round);
    for (std::size_t place = 0; place < plan->order.size(); ++place)
      EXPECT_EQ(plan->scratch[place].size_bytes, scratch(plan->node(place)));
    EXPECT_TRUE(std::ranges::is_sorted(plan->order));
    EXPECT_LE(plan->arena_bytes, plan->unshared_bytes);
    EXPECT_TRUE(reuse || plan->arena_bytes == plan->unshared_bytes);
    expect_disjoint(*plan, !reuse);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Schedule, JoinedNodesShareNoMemory) {
  Random random("joined");
  const auto scratch = [](const NodeView&) { return std::size_t{300}; };
  const auto together = [](const NodeView& first, const NodeView& second) {
    const bool joins = (first.node().operands[0].value + second.node().operands[0].value) % 3 != 0;
    return joins ? std::optional<std::size_t>(700) : std::nullopt;
  };
  for (int round = 0; round < 300; ++round) {
    const auto plan = schedule(random_graph(random), scratch, {.joint_workspace = together});
    SCOPED_TRACE(round);
    for (std::size_t place = 0; place < plan->order.size(); ++place) {
      const bool is_second = place > 0 && plan->joined[place - 1] != 0;
      const std::size_t size = plan->joined[place] != 0 ? 700 : is_second ? 0 : 300;
      EXPECT_EQ(plan->scratch[place].size_bytes, size);
      EXPECT_FALSE(is_second && plan->joined[place] != 0);
    }
    EXPECT_EQ(plan->joined.empty() || plan->joined.back() == 0, true);
    expect_disjoint(*plan, false);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Schedule, EveryOutputHasMemory) {
  auto graph = std::make_shared<Graph>();
  const Tensor x = graph->input(DType::f32, {4, 8});
  graph->mark_output(x);  // an input that is also an output
  const Tensor y = toy_node(*graph, {x}, 8);
  Tensor z = y;
  graph->mark_output(y);
  for (int i = 0; i < 5; ++i) z = toy_node(*graph, {z}, 8);
  graph->mark_output(z);
  const auto plan = schedule(graph, no_scratch);
  const auto end = static_cast<std::int32_t>(plan->order.size());
  for (const Tensor& tensor : {x, y, z}) {
    EXPECT_EQ(plan->values[static_cast<std::size_t>(tensor.id())].size_bytes, 128U);
    EXPECT_EQ(plan->values[static_cast<std::size_t>(tensor.id())].last, end);
  }
  expect_disjoint(*plan, false);
}

}  // namespace
}  // namespace bitaxon::test
