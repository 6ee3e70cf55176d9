// Lazy tensors: handles to the values of a graph.
#pragma once

#include <cstdint>

#include "bitaxon/dtype.h"
#include "bitaxon/export.h"
#include "bitaxon/shape.h"

namespace bitaxon {

/// A recorded computation. The type is opaque: tensors are handles to its values.
class Graph;

/// What the first axis of an activation counts. Its extent is a bucket (a capacity). The step
/// buffer says how many rows are valid in a step. Kernels compute only the valid rows.
enum class RowSpace : std::uint8_t {
  none,      ///< not an activation: a weight or a state tensor
  rows,      ///< tokens of the step: StepBuffer::n_rows
  segments,  ///< sequences of the step: StepBuffer::n_segments
  outputs,   ///< rows whose logits are computed: StepBuffer::n_outputs
};

/// A handle to one value of a Graph, cheap to copy. It is in one of three states:
///
/// - **empty**: default-constructed; it refers to no value. Allowed: assignment.
///       Tensor x;
/// - **recorded**: made by an op, or by the graph for a weight, a state or an input. Its shape and
///   dtype are known. Its contents are unknown, because nothing has been computed. Allowed: being
///   an argument of further ops, being marked as an output.
///       x = linear(x, w);                // returns at once
/// - **scheduled**: its graph has become a Plan. The value has a range of the arena and a lifetime.
///   Passing the tensor to an op throws. If it was marked as an output, its contents can be read
///   after a wait for a step.
///       auto plan = schedule(graph, ...);   // x is scheduled from here on
///
/// The graph must outlive its handles.
class BX_API Tensor {
 public:
  Tensor() = default;
  Tensor(Graph& graph, std::int32_t id) : graph_(&graph), id_(id) {}

  bool empty() const { return graph_ == nullptr; }
  Graph& graph() const { return *graph_; }
  /// The index of the value in its graph.
  std::int32_t id() const { return id_; }
  DType dtype() const;
  /// The shape, as a copy that stays valid while the graph grows.
  Shape shape() const;
  RowSpace row_space() const;

 private:
  Graph* graph_ = nullptr;
  std::int32_t id_ = -1;
};

}  // namespace bitaxon
