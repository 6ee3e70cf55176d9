// Lazy tensors: handles to values of a graph that is being recorded.
#pragma once

#include <cstdint>

#include "bitaxon/dtype.h"
#include "bitaxon/export.h"
#include "bitaxon/shape.h"

namespace bitaxon {

/// The computation that is being recorded. Opaque: tensors are handles to its values.
class Graph;

/// What the first axis of an activation counts. The extent is a bucket (a capacity); how many of
/// its rows are valid in a step is data in the step buffer, and nothing computes the others.
enum class RowSpace : std::uint8_t {
  none,      ///< no such axis: weights, state
  rows,      ///< tokens of the step: StepBuffer::n_rows
  segments,  ///< sequences of the step: StepBuffer::n_segments
  outputs,   ///< rows whose logits are computed: StepBuffer::n_outputs
};

/// A handle to one value of a Graph, cheap to copy. It is in one of three states:
///
/// - **empty**: default-constructed, refers to nothing. Allowed: assignment.
///       Tensor x;
/// - **recorded**: made by an op, or by the graph for a weight, a state or an input. Its shape and
///   dtype are known, its contents are not: nothing has been computed. Allowed: being an argument
///   of further ops, being marked as an output.
///       x = linear(x, w);                // returns at once
/// - **scheduled**: its graph has become a Plan. It has a place in the arena and a lifetime; ops on
///   it throw. If it was marked as an output, its contents can be read after a step has been
///   waited for.
///       auto plan = schedule(graph, ...);   // x is scheduled from here on
///
/// The graph must outlive its handles.
class BX_API Tensor {
 public:
  Tensor() = default;
  Tensor(Graph& graph, std::int32_t id) : graph_(&graph), id_(id) {}

  bool empty() const { return graph_ == nullptr; }
  Graph& graph() const { return *graph_; }
  /// Index of the value in its graph.
  std::int32_t id() const { return id_; }
  DType dtype() const;
  /// A copy, so that it stays good while the graph grows.
  Shape shape() const;
  RowSpace row_space() const;

 private:
  Graph* graph_ = nullptr;
  std::int32_t id_ = -1;
};

}  // namespace bitaxon
