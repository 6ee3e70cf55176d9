#include "core/graph.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "core/align.h"
#include "core/plan.h"
#include "core/step.h"
#include "core_tests/toy_graph.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

StateLayout toy_layout() {
  StateLayout layout;
  layout.n_slots = 2;
  layout.add("a", DType::f32, {3, 5}, 3);
  layout.add("b", DType::f16, {7}, 1);
  return layout;
}

TEST(Graph, ATensorReportsItsShapeAndType) {
  Graph graph;
  const Tensor x = graph.input(DType::i32, {4, 2}, RowSpace::segments);
  EXPECT_EQ(x.dtype(), DType::i32);
  EXPECT_EQ(x.shape(), (Shape{4, 2}));
  EXPECT_EQ(x.row_space(), RowSpace::segments);
  EXPECT_FALSE(x.empty());
  EXPECT_TRUE(Tensor().empty());
  const Tensor y = toy_node(graph, {x, Tensor()}, 6);
  EXPECT_EQ(y.shape(), (Shape{4, 6}));
  ASSERT_EQ(graph.nodes().size(), 1U);
  EXPECT_EQ(graph.nodes()[0].operands[0].value, x.id());
  EXPECT_EQ(graph.nodes()[0].operands[1].value, -1) << "an absent operand keeps its index";
  EXPECT_EQ(graph.nodes()[0].operands[2].value, y.id());
}

TEST(Graph, AWeightOrStateUsedTwiceIsOneValue) {
  Graph graph;
  const auto weight = toy_weight();
  EXPECT_EQ(graph.weight(weight).id(), graph.weight(weight).id());
  EXPECT_NE(graph.weight(weight).id(), graph.weight(toy_weight()).id());
  const StateLayout layout = toy_layout();
  EXPECT_EQ(graph.state(layout, 1).id(), graph.state(layout, 1).id());
  EXPECT_NE(graph.state(layout, 0).id(), graph.state(layout, 1).id());
  EXPECT_EQ(graph.state(layout, 1).dtype(), DType::f16);
  EXPECT_EQ(graph.state(layout, 0).shape(), (Shape{3, 5}));
}

TEST(Graph, AScheduledGraphRefusesChanges) {
  auto graph = std::make_shared<Graph>();
  const Tensor x = graph->input(DType::f32, {4, 2});
  const Tensor y = toy_node(*graph, {x}, 2);
  graph->mark_output(y);
  const StateLayout layout = toy_layout();
  schedule(graph, [](const NodeView&) { return std::size_t{0}; });
  const char* part =
      "expected a graph that is still being recorded, got one that has been scheduled";
  expect_invalid([&] { graph->input(DType::f32, {1, 1}); }, part);
  expect_invalid([&] { graph->weight(toy_weight()); }, part);
  expect_invalid([&] { graph->state(layout, 0); }, part);
  expect_invalid([&] { graph->mark_output(x); }, part);
  expect_invalid([&] { graph->set_result(x); }, part);
  expect_invalid([&] { toy_node(*graph, {x}, 2); }, part);
  EXPECT_EQ(graph->nodes().size(), 1U);
}

/// The properties in which the graphs of StructureKeyDistinguishesGraphs differ.
struct Variant {
  DType dtype = DType::f32;
  std::int64_t cols = 2;
  RowSpace row_space = RowSpace::rows;
  std::int32_t params = 7;
  std::uint16_t op = 3;
  std::int32_t state = 0;
  bool swapped = false;
  bool second_output = false;
  bool result = false;
  bool absent = false;
  std::shared_ptr<const Weight> weight;
  const char* label = "a";
};

std::string key_of(const Variant& v) {
  Graph graph;
  graph.set_label(v.label);
  const StateLayout layout = toy_layout();
  const Tensor x = graph.input(v.dtype, {4, v.cols}, v.row_space);
  const Tensor w = graph.weight(v.weight);
  const Tensor s = graph.state(layout, v.state);
  const std::vector<Tensor> reads = v.absent    ? std::vector{x, w, Tensor()}
                                    : v.swapped ? std::vector{w, x, x}
                                                : std::vector{x, w, x};
  const Tensor y = toy_node(graph, reads, 6, {v.params}, s, v.op);
  const Tensor z = toy_node(graph, {y}, 6);
  graph.mark_output(z);
  if (v.second_output) graph.mark_output(y);
  if (v.result) graph.set_result(z);
  return graph.structure_key();
}

TEST(Graph, RefusesAnOutputOfAnotherGraph) {
  Graph graph, other;
  const Tensor x = other.input(DType::f32, {1, 8});
  expect_error([&] { graph.mark_output(x); }, ErrorKind::internal,
               {"src/core/graph.cpp:", "broken invariant: ", "&tensor.graph() == this"});
}

TEST(Graph, StructureKeyDistinguishesGraphs) {
  const Variant base{.weight = toy_weight()};
  const auto with = [&](const std::function<void(Variant&)>& change) {
    Variant v = base;
    change(v);
    return key_of(v);
  };
  EXPECT_EQ(key_of(base), key_of(base));
  EXPECT_EQ(key_of(base), with([](Variant& v) { v.label = "b"; })) << "labels do not count";
  std::set<std::string> keys = {key_of(base)};
  const std::function<void(Variant&)> changes[] = {
      [](Variant& v) { v.dtype = DType::i32; },
      [](Variant& v) { v.cols = 3; },
      [](Variant& v) { v.row_space = RowSpace::segments; },
      [](Variant& v) { v.params = 8; },
      [](Variant& v) { v.op = 4; },
      [](Variant& v) { v.state = 1; },
      [](Variant& v) { v.swapped = true; },
      [](Variant& v) { v.absent = true; },
      [](Variant& v) { v.second_output = true; },
      [](Variant& v) { v.result = true; },
      [](Variant& v) { v.weight = toy_weight(); },
  };
  for (const auto& change : changes)
    EXPECT_TRUE(keys.insert(with(change)).second) << "change " << keys.size();
}

TEST(StateLayout, StateTensorsDoNotOverlap) {
  StateLayout layout = toy_layout();
  layout.add("empty", DType::f32, {0, 5}, 3);
  layout.add("c", DType::i32, {1}, 3);
  std::size_t n_places = 0;
  std::size_t total = 0;
  for (const StateTensor& tensor : layout.tensors) {
    std::set<std::pair<std::size_t, std::size_t>> places;
    const auto size = static_cast<std::size_t>(tensor.shape.elements()) * size_of(tensor.dtype);
    EXPECT_TRUE(tensor.versions > 1 || tensor.version_stride_bytes == 0);
    for (std::int32_t version = 0; version < tensor.versions; ++version)
      for (std::int32_t slot = 0; slot < layout.n_slots; ++slot) {
        const std::size_t at = static_cast<std::size_t>(version) * tensor.version_stride_bytes +
                               static_cast<std::size_t>(slot) * tensor.slot_stride_bytes;
        EXPECT_EQ(at % kBufferAlignment, 0U);
        EXPECT_LE(at + size, tensor.size_bytes);
        if (size > 0) places.insert({at, at + size});
      }
    std::size_t end = 0;
    for (const auto& [first, last] : places) {
      EXPECT_GE(first, end);
      end = last;
    }
    n_places += places.size();
    total += tensor.size_bytes;
  }
  EXPECT_EQ(n_places, 6U + 2U + 6U);
  EXPECT_EQ(layout.total_bytes(), total);
}

TEST(StateLayout, PagesAreConsecutive) {
  StateLayout layout;
  layout.page_groups = {{.window = 5, .n_pages = 3}, {.n_pages = 7}};
  layout.add_pages("keys", DType::f16, 5, 1);
  const StateTensor& tensor = layout.tensors[0];
  EXPECT_EQ(tensor.shape, (Shape{kPageRows, 5}));
  EXPECT_EQ(tensor.page_bytes(), static_cast<std::size_t>(kPageRows) * 5 * 2);
  EXPECT_EQ(tensor.size_bytes, 7 * tensor.page_bytes());
  EXPECT_EQ(layout.total_bytes(), tensor.size_bytes);
}

}  // namespace
}  // namespace bitaxon::test
