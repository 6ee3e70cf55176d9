// Runs graphs and cases on a backend, and checks that a run writes only into memory that it may
// change.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cases/op_case.h"
#include "core/backend.h"
#include "core/plan.h"

namespace bitaxon::test {

/// A tensor that the host fills before a step.
struct GraphInput {
  Tensor tensor;
  std::span<const std::byte> bytes;
};

/// The content of the arena before and after one step.
struct GraphRun {
  std::shared_ptr<const Plan> plan;
  std::vector<std::byte> before;
  std::vector<std::byte> after;
  std::vector<std::int32_t> tokens;

  /// The bytes of a tensor after the step, including its invalid rows.
  std::span<const std::byte> bytes(const Tensor& tensor) const;
};

/// Schedules and compiles the graph, runs one step and waits for its end. Before the step, the
/// arena holds the inputs, and NaN everywhere else. A guard region lies behind the arena.
GraphRun run_graph(Backend& backend, const std::shared_ptr<Graph>& graph,
                   std::span<const GraphInput> inputs, const StepBuffer& step,
                   const std::vector<Buffer>& state,
                   const std::shared_ptr<const StateLayout>& layout,
                   const ScheduleOptions& options = {}, Precision precision = Precision::exact);

/// One result of an op: either the valid rows of one output, or the range of a state tensor that
/// one segment wrote.
struct OpResult {
  std::string name;
  DType dtype = DType::f32;
  std::int64_t row_length = 1;
  std::vector<std::byte> bytes;
  RowSpace row_space = RowSpace::none;  ///< none if the result is a range of a state tensor
  std::size_t segment = 0;              ///< for a state tensor: the segment that wrote the range
  std::vector<double> allowed = {};     ///< allowed error of each element; only in expected results
};

struct OpRun {
  std::vector<OpResult> results;
  /// One line for each illegal write, and for tokens that differ from the token tensor.
  std::vector<std::string> violations;
};

/// Runs a problem on memory that no value shares with another. The step may write the valid rows of
/// outputs, scratch memory, and the state ranges of its segments. Any other changed byte of the
/// arena or of the state is reported as a violation.
OpRun run_op(Backend& backend, const OpProblem& problem, Precision precision = Precision::exact);

/// Runs a problem on the reference. Every backend must compute these results. They come with the
/// allowed error of each element.
OpRun expected_run(Backend& reference, const OpProblem& problem);

/// The tolerance in precision "fast": a result may also differ by 1e-2 of the size of its row, because
/// products may round their factors to 16 bits.
Tolerance with_fast_error(Tolerance tolerance);

/// Describes each result that differs from the expected result by more than the allowed error.
/// Empty if the runs agree. Integers must be equal.
std::vector<std::string> differences(const OpRun& actual, const OpRun& expected,
                                     const Tolerance& tolerance);
/// The largest error of an element, as a fraction of the allowed error of that element.
double largest_error(const OpRun& actual, const OpRun& expected, const Tolerance& tolerance);

/// The graph of a problem. `backend` packs its weights.
std::shared_ptr<Graph> graph_of(Backend& backend, const OpProblem& problem);

}  // namespace bitaxon::test
