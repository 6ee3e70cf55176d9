// Runs graphs and cases on a backend, and checks that a run writes only what it may.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "cases/op_case.h"
#include "core/plan.h"

namespace bitaxon::test {

/// A tensor that the host fills before a step.
struct GraphInput {
  Tensor tensor;
  std::span<const std::byte> bytes;
};

/// The arena of one step, downloaded before and after it.
struct GraphRun {
  std::shared_ptr<const Plan> plan;
  std::vector<std::byte> before;
  std::vector<std::byte> after;
  std::vector<std::int32_t> tokens;

  /// All rows of a value after the step.
  std::span<const std::byte> bytes(const Tensor& tensor) const;
};

/// Schedules, compiles, runs and waits. Before the step, the arena holds NaN except for the inputs.
/// A guard region follows the arena.
GraphRun run_graph(Backend& backend, const std::shared_ptr<Graph>& graph,
                   std::span<const GraphInput> inputs, const StepBuffer& step,
                   const std::vector<Buffer>& state,
                   const std::shared_ptr<const StateLayout>& layout,
                   const ScheduleOptions& options = {}, bool fast = false);

/// A part of an op's result: the valid rows of one output, or the range of a state that one segment
/// wrote.
struct OpResult {
  std::string name;
  DType dtype = DType::f32;
  std::int64_t row_length = 1;
  std::vector<std::byte> bytes;
  std::vector<double> allowed = {};  ///< for an expected result: how far another result may differ
};

struct OpRun {
  std::vector<OpResult> results;
  /// Illegal writes, and tokens that differ from the token tensor.
  std::vector<std::string> violations;
};

/// Runs a problem without reuse of memory. Reports every byte of the arena and the state that
/// changed although it is not a valid row of an output, scratch, or state that a segment writes.
/// `fast`: products may have reduced precision.
OpRun run_op(Backend& backend, const OpProblem& problem, bool fast = false);

/// The result that every backend must compute: the reference's run, with the allowed error of each
/// element.
OpRun expected_run(Backend& reference, const OpProblem& problem);

/// The places where a run differs from the expected run by more than is allowed; empty if the runs
/// agree. Integers must be equal.
std::vector<std::string> differences(const OpRun& actual, const OpRun& expected,
                                     const Tolerance& tolerance);
/// The largest error, as a fraction of the allowed error.
double largest_error(const OpRun& actual, const OpRun& expected, const Tolerance& tolerance);

/// The graph of a problem, with weights packed by `backend`.
std::shared_ptr<Graph> graph_of(Backend& backend, const OpProblem& problem);

}  // namespace bitaxon::test
