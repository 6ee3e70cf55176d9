// Graphs whose nodes compute nothing. The core only knows how a node accesses its operands, so such
// graphs suffice to test the core.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/graph.h"

namespace bitaxon::test {

struct ToyParams {
  std::int32_t number = 0;
};

inline std::shared_ptr<const Weight> toy_weight(const Shape& shape = {1, 2, 3}) {
  auto weight = std::make_shared<Weight>();
  weight->name = "toy";
  weight->shape = shape;
  weight->format = "f32";
  weight->stored_bytes = static_cast<std::uint64_t>(shape.elements()) * 4;
  return weight;
}

/// Records a node that reads the tensors `reads` and returns a tensor [4, cols]. If `state` is not
/// empty, the node also reads and writes it.
inline Tensor toy_node(Graph& graph, std::vector<Tensor> reads, std::int64_t cols,
                       ToyParams params = {}, const Tensor& state = {}, std::uint16_t op = 0) {
  std::vector<Graph::Argument> arguments;
  for (const Tensor& tensor : reads) arguments.push_back({tensor});
  if (!state.empty()) arguments.push_back({state, Access::read_write});
  const Graph::Output outputs[] = {{DType::f32, {4, cols}}};
  return graph.record(op, params, arguments, outputs)[0];
}

}  // namespace bitaxon::test
