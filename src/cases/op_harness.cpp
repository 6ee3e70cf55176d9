#include "cases/op_harness.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/assert.h"
#include "core/half.h"

namespace bitaxon::test {
namespace {

constexpr std::size_t kGuardBytes = 4096;
/// The content of the arena before a step. It is a NaN as float32 and as float64. Its bits differ
/// from the NaN of invalid rows, so the harness notices if a kernel computes or copies invalid
/// rows.
constexpr std::uint32_t kUntouched = 0x7ffadead;

/// The bytes that a step may change.
class Writable {
 public:
  explicit Writable(std::size_t size_bytes) : allowed_(size_bytes, 0) {}
  void allow(std::size_t offset, std::size_t size_bytes) {
    std::fill_n(allowed_.begin() + static_cast<std::ptrdiff_t>(offset), size_bytes, 1);
  }
  /// Describes the first byte that changed although the step must not change it. Empty if there is
  /// no such byte.
  std::string violation(std::span<const std::byte> before, std::span<const std::byte> after) const {
    for (std::size_t i = 0; i < before.size(); ++i)
      if (before[i] != after[i] && allowed_[i] == 0)
        return fmt::format("byte {} of {}", i, before.size());
    return "";
  }

 private:
  std::vector<char> allowed_;
};

std::size_t row_bytes(const Value& value) {
  return static_cast<std::size_t>(value.shape.elements() / value.shape[0]) * size_of(value.dtype);
}

struct RecordedOp {
  std::shared_ptr<Graph> graph;
  OpHandles handles;
  std::vector<Tensor> outputs;
};

RecordedOp record_op(Backend& backend, const OpProblem& problem) {
  RecordedOp op;
  op.graph = std::make_shared<Graph>();
  op.graph->set_label("case");
  for (const CaseWeight& weight : problem.weights())
    op.handles.weights.push_back(op.graph->weight(backend.pack(weight.desc, weight.parts())));
  for (const CaseInput& input : problem.inputs())
    op.handles.inputs.push_back(op.graph->input(input.dtype, input.shape, input.row_space));
  for (std::size_t i = 0; i < problem.layout().tensors.size(); ++i)
    op.handles.states.push_back(op.graph->state(problem.layout(), static_cast<std::int32_t>(i)));
  op.handles.n_rows = problem.capacity(RowSpace::rows);
  op.handles.n_segments = problem.capacity(RowSpace::segments);
  op.handles.n_outputs = problem.capacity(RowSpace::outputs);
  op.outputs = problem.record(op.handles);
  for (const Tensor& output : op.outputs) op.graph->mark_output(output);
  if (problem.returns_tokens) op.graph->set_result(op.outputs[0]);
  return op;
}

/// A range of a state tensor that one segment writes.
struct StateRange {
  std::string name;
  std::size_t state;  ///< index of the tensor
  std::size_t segment;
  std::size_t offset_bytes;
  std::size_t size_bytes;
};

/// For StateRange::segment: the range belongs to no segment.
constexpr std::size_t kNoSegment = static_cast<std::size_t>(-1);

std::size_t segment_of_row(const OpProblem& problem, std::size_t row) {
  for (std::size_t g = 0; g < problem.segments().size(); ++g)
    if (row - problem.segments()[g].first_row < problem.segments()[g].n_rows) return g;
  return kNoSegment;
}

/// The ranges of a shared tensor that the problem allows to write. A range is a row of a store, or
/// elements that all rows of the step contribute to.
std::vector<StateRange> shared_ranges(const OpProblem& problem, std::size_t state) {
  const std::string& name = problem.layout().tensors[state].name;
  std::vector<StateRange> ranges;
  for (const SharedWrite& write : problem.shared_writes()) {
    if (write.state != state) continue;
    if (write.rows == RowSpace::none) {
      ranges.push_back({name, state, kNoSegment, static_cast<std::size_t>(write.first) * 4,
                        static_cast<std::size_t>(write.count) * 4});
      continue;
    }
    const std::size_t size = problem.store_row_bytes(state);
    for (std::size_t i = 0; i < static_cast<std::size_t>(problem.valid_rows(write.rows)); ++i) {
      const bool is_output = write.rows == RowSpace::outputs;
      const std::size_t row = is_output ? problem.step.output_rows[i] : problem.step.store_row + i;
      ranges.push_back({fmt::format("row {} of {}", row, name), state,
                        segment_of_row(problem, is_output ? row : i), row * size, size});
    }
  }
  return ranges;
}

/// The ranges of a state tensor that the segments may write. In pages, these are the rows of each
/// segment's positions, and of positions before them if the problem says so. In a carry, they are the versions that segments at a later position than 0
/// read. In any other state tensor, they are the whole versions that the segments write, if they
/// keep their state.
std::vector<StateRange> written_ranges(const OpProblem& problem, std::size_t state) {
  if (problem.is_shared(state)) return shared_ranges(problem, state);
  const StateTensor& tensor = problem.layout().tensors[state];
  const std::size_t size = size_of(tensor.dtype);
  std::vector<StateRange> ranges;
  for (std::size_t g = 0; g < problem.segments().size(); ++g) {
    const SegmentWords& segment = problem.segments()[g];
    const std::size_t slot = tensor.slot_stride_bytes * segment.slot;
    const std::string name = fmt::format("{} of slot {}", tensor.name, segment.slot);
    if (!problem.is_paged(state)) {
      const bool carry = problem.is_carry(state);
      if (carry ? segment.position == 0 : segment.keeps_state == 0) continue;
      const std::uint32_t version =
          carry ? segment.read_version % OpProblem::kCarryVersions : segment.write_version;
      ranges.push_back({name, state, g, slot + tensor.version_stride_bytes * version,
                        static_cast<std::size_t>(tensor.shape.elements()) * size});
      continue;
    }
    const std::size_t row = static_cast<std::size_t>(tensor.shape[1]) * size;
    const std::int64_t begin = segment.position;
    for (std::int64_t position = std::max<std::int64_t>(0, begin - problem.written_before(state));
         position < begin + segment.n_rows; ++position) {
      const auto offset =
          problem.row_at(state, segment, position) - problem.state_images()[state].data();
      ranges.push_back({fmt::format("{} of position {}", tensor.name, position), state, g,
                        static_cast<std::size_t>(offset), row});
    }
  }
  return ranges;
}

std::vector<StateRange> written_ranges(const OpProblem& problem, const Graph& graph) {
  std::vector<StateRange> ranges;
  for (const Node& node : graph.nodes())
    for (const Operand& operand : node.operands) {
      if (operand.value < 0 || operand.access == Access::read) continue;
      const Value& value = graph.value(operand.value);
      if (value.kind != ValueKind::state) continue;
      const auto more = written_ranges(problem, static_cast<std::size_t>(value.state_index));
      ranges.insert(ranges.end(), more.begin(), more.end());
    }
  return ranges;
}

void collect_outputs(const OpProblem& problem, const RecordedOp& op, const GraphRun& run,
                     OpRun& result) {
  Writable writable(run.after.size());
  for (std::size_t i = 0; i < op.outputs.size(); ++i) {
    const Value& value = op.graph->value(op.outputs[i].id());
    const std::size_t valid =
        static_cast<std::size_t>(problem.valid_rows(value.row_space)) * row_bytes(value);
    writable.allow(run.plan->values[static_cast<std::size_t>(op.outputs[i].id())].offset_bytes,
                   valid);
    const auto bytes = run.bytes(op.outputs[i]).first(valid);
    result.results.push_back({fmt::format("output {}", i),
                              value.dtype,
                              value.shape[value.shape.rank() - 1],
                              {bytes.begin(), bytes.end()},
                              value.row_space});
  }
  for (const Placement& scratch : run.plan->scratch)
    writable.allow(scratch.offset_bytes, scratch.size_bytes);
  const std::string violation = writable.violation(run.before, run.after);
  if (!violation.empty())
    result.violations.push_back("the arena was written outside of valid rows and scratch: " +
                                violation);
  if (problem.returns_tokens) {
    const auto tokens = std::as_bytes(std::span(run.tokens));
    if (!std::ranges::equal(tokens, result.results[0].bytes))
      result.violations.push_back("the step's tokens differ from the token tensor");
  }
}

/// The state of the problem on a backend, with a guard region after each tensor.
struct GuardedState {
  std::vector<std::vector<std::byte>> before;
  std::vector<Buffer> buffers;
};

GuardedState upload_state(Backend& backend, const OpProblem& problem) {
  GuardedState state;
  state.before = problem.state_images();
  for (std::vector<std::byte>& image : state.before) {
    image.resize(image.size() + kGuardBytes, std::byte{0xFF});
    state.buffers.push_back(backend.allocate(image.size(), BufferUse::state));
    backend.upload(state.buffers.back(), 0, image);
  }
  return state;
}

void collect_state(Backend& backend, const OpProblem& problem, const Graph& graph,
                   const GuardedState& state, OpRun& result) {
  std::vector<std::vector<std::byte>> after;
  std::vector<Writable> writable;
  for (const Buffer& buffer : state.buffers) {
    writable.emplace_back(buffer.size_bytes);
    backend.download(buffer, 0, after.emplace_back(buffer.size_bytes));
  }
  for (const StateRange& range : written_ranges(problem, graph)) {
    writable[range.state].allow(range.offset_bytes, range.size_bytes);
    const auto bytes = std::span(after[range.state]).subspan(range.offset_bytes, range.size_bytes);
    const StateTensor& tensor = problem.layout().tensors[range.state];
    result.results.push_back({range.name,
                              tensor.dtype,
                              tensor.shape[tensor.shape.rank() - 1],
                              {bytes.begin(), bytes.end()},
                              RowSpace::none,
                              range.segment});
  }
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::string violation = writable[i].violation(state.before[i], after[i]);
    if (!violation.empty())
      result.violations.push_back(fmt::format("{} was written where no segment writes: {}",
                                              problem.layout().tensors[i].name, violation));
  }
}

std::vector<float> floats_of(const OpResult& result) {
  std::vector<float> values(result.bytes.size() / size_of(result.dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (result.dtype == DType::f32) {
      std::memcpy(&values[i], result.bytes.data() + 4 * i, 4);
      continue;
    }
    std::uint16_t half = 0;
    std::memcpy(&half, result.bytes.data() + 2 * i, 2);
    values[i] = f16_to_f32(half);
  }
  return values;
}

std::vector<std::int32_t> integers_of(const OpResult& result) {
  std::vector<std::int32_t> values(result.bytes.size() / 4);
  std::memcpy(values.data(), result.bytes.data(), result.bytes.size());
  return values;
}

Comparison compare_results(const OpResult& actual, const OpResult& expected,
                           const Tolerance& tolerance) {
  if (!is_float(expected.dtype)) return compare(integers_of(actual), integers_of(expected));
  return compare(floats_of(actual), floats_of(expected), expected.row_length, tolerance,
                 expected.allowed, expected.dtype == DType::f16);
}

}  // namespace

std::span<const std::byte> GraphRun::bytes(const Tensor& tensor) const {
  const Placement& placement = plan->values[static_cast<std::size_t>(tensor.id())];
  return std::span(after).subspan(placement.offset_bytes, placement.size_bytes);
}

GraphRun run_graph(Backend& backend, const std::shared_ptr<Graph>& graph,
                   std::span<const GraphInput> inputs, const StepBuffer& step,
                   const std::vector<Buffer>& state,
                   const std::shared_ptr<const StateLayout>& layout, const ScheduleOptions& options,
                   Precision precision) {
  GraphRun run;
  run.plan = schedule(graph, *backend.description(), options);
  run.before.resize(run.plan->arena_bytes + kGuardBytes);  // both summands are multiples of 256
  for (std::size_t at = 0; at < run.before.size(); at += sizeof(kUntouched))
    std::memcpy(run.before.data() + at, &kUntouched, sizeof(kUntouched));
  for (const GraphInput& input : inputs) {
    const Placement& place = run.plan->values[static_cast<std::size_t>(input.tensor.id())];
    std::copy_n(input.bytes.begin(), place.size_bytes,
                run.before.begin() + static_cast<std::ptrdiff_t>(place.offset_bytes));
  }
  const Buffer arena = backend.allocate(run.before.size(), BufferUse::activations);
  backend.upload(arena, 0, run.before);
  const Executable executable = backend.compile(run.plan, {.arena = arena,
                                                           .state = state,
                                                           .table_words = step.pages.size(),
                                                           .precision = precision,
                                                           .state_layout = layout});
  const StepResult result = backend.wait(backend.submit(executable, step));
  run.tokens.assign(result.tokens.begin(), result.tokens.end());
  run.after.resize(run.before.size());
  backend.download(arena, 0, run.after);
  return run;
}

OpRun run_op(Backend& backend, const OpProblem& problem, Precision precision) {
  const RecordedOp op = record_op(backend, problem);
  std::vector<GraphInput> inputs;
  for (std::size_t i = 0; i < problem.inputs().size(); ++i)
    inputs.push_back({op.handles.inputs[i], problem.inputs()[i].bytes});
  const GuardedState state = upload_state(backend, problem);
  const GraphRun run =
      run_graph(backend, op.graph, inputs, problem.step, state.buffers,
                std::make_shared<StateLayout>(problem.layout()), {.reuse = false}, precision);
  OpRun result;
  collect_outputs(problem, op, run, result);
  collect_state(backend, problem, *op.graph, state, result);
  return result;
}

OpRun expected_run(Backend& reference, const OpProblem& problem) {
  OpRun run = run_op(reference, problem);
  if (!problem.errors) return run;
  ResultErrors errors = problem.errors(problem);
  BX_ASSERT(errors.size() == run.results.size(), "each result has a list of errors");
  for (std::size_t i = 0; i < errors.size(); ++i) run.results[i].allowed = std::move(errors[i]);
  return run;
}

Tolerance with_fast_error(Tolerance tolerance) {
  tolerance.relative += 1e-2;
  tolerance.reason += "; factors of 16 bits";
  return tolerance;
}

std::vector<std::string> differences(const OpRun& actual, const OpRun& expected,
                                     const Tolerance& tolerance) {
  if (actual.results.size() != expected.results.size()) return {"the number of results differs"};
  std::vector<std::string> found;
  for (std::size_t i = 0; i < expected.results.size(); ++i) {
    const Comparison comparison =
        compare_results(actual.results[i], expected.results[i], tolerance);
    if (!comparison.problem.empty())
      found.push_back(fmt::format("{}: {}", expected.results[i].name, comparison.problem));
  }
  return found;
}

double largest_error(const OpRun& actual, const OpRun& expected, const Tolerance& tolerance) {
  double largest = 0;
  for (std::size_t i = 0; i < std::min(actual.results.size(), expected.results.size()); ++i)
    largest = std::max(largest,
                       compare_results(actual.results[i], expected.results[i], tolerance).largest);
  return largest;
}

std::shared_ptr<Graph> graph_of(Backend& backend, const OpProblem& problem) {
  return record_op(backend, problem).graph;
}

}  // namespace bitaxon::test
