// Runs graphs and cases on a backend, and checks that a run touched only what it may.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "cases/op_case.h"
#include "core/plan.h"

namespace bitaxon::test {

/// What the host fills before a step.
struct GraphInput {
  Tensor tensor;
  std::span<const std::byte> bytes;
};

/// The arena of one step, as downloaded before and after it.
struct GraphRun {
  std::shared_ptr<const Plan> plan;
  std::vector<std::byte> before;
  std::vector<std::byte> after;
  std::vector<std::int32_t> tokens;

  /// All rows of a value after the step.
  std::span<const std::byte> bytes(const Tensor& tensor) const;
};

/// Schedules, compiles, runs and waits. Whatever the arena holds beside the inputs is NaN before
/// the step; it is followed by a guard region.
GraphRun run_graph(Backend& backend, const std::shared_ptr<Graph>& graph,
                   std::span<const GraphInput> inputs, const StepBuffer& step,
                   const std::vector<Buffer>& state,
                   const std::shared_ptr<const StateLayout>& layout,
                   const ScheduleOptions& options = {}, bool fast = false);

/// A part of an op's result: the valid rows of one output, or what one segment wrote of one state.
struct OpResult {
  std::string name;
  DType dtype = DType::f32;
  std::int64_t row_length = 1;
  std::vector<std::byte> bytes;
  std::vector<double> allowed = {};  ///< of an expected result: how far another may be off it
};

struct OpRun {
  std::vector<OpResult> results;
  /// Bytes written that the op had no business with, tokens that differ from the tensor of them.
  std::vector<std::string> violations;
};

/// Runs a problem without reuse of memory, and finds every byte of arena and state that changed
/// though it is neither a valid row of an output, scratch, nor what a segment writes. `fast`:
/// products may be of reduced precision.
OpRun run_op(Backend& backend, const OpProblem& problem, bool fast = false);

/// What any backend is to compute: the reference's run, and how far off each element may be.
OpRun expected_run(Backend& reference, const OpProblem& problem);

/// Where a run differs from the expected one beyond what is allowed; empty where they agree.
/// Integers must be equal.
std::vector<std::string> differences(const OpRun& actual, const OpRun& expected,
                                     const Tolerance& tolerance);
/// The largest error, as a share of what is allowed.
double largest_error(const OpRun& actual, const OpRun& expected, const Tolerance& tolerance);

/// The node of a problem, on a graph with weights packed by `backend`.
std::shared_ptr<Graph> graph_of(Backend& backend, const OpProblem& problem);

}  // namespace bitaxon::test
