// Runs ops on rows of numbers that the caller has in memory, and keeps state from one step to the
// next. Models have sessions of their own; this one serves single layers and tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/graph.h"
#include "core/plan.h"
#include "core/state_layout.h"
#include "core/step.h"

namespace bitaxon {

/// An input of a step. `bytes` holds the valid rows.
struct SessionInput {
  DType dtype = DType::f32;
  std::vector<std::int64_t> row_shape;
  std::span<const std::byte> bytes;
};
inline SessionInput rows_of(std::span<const float> values, std::int64_t cols) {
  return {DType::f32, {cols}, std::as_bytes(values)};
}

/// Memory for the activations of steps. Sessions whose steps run one after the other share it.
struct StepMemory {
  Buffer arena;
};

struct SessionOptions {
  ScheduleOptions schedule = {};
  std::shared_ptr<StepMemory> memory = {};  ///< empty: the session has memory of its own
  /// Fills all memory that steps must not read with NaN. Tests find such reads in this way.
  bool poison = false;
};

/// Runs successive steps on a backend and keeps the state between them. Sequence g has slot g.
/// Successive steps alternate between two versions of the state. All steps compute exactly. The
/// backend must outlive the session. A call that throws leaves the state as it was.
class EagerSession {
 public:
  EagerSession(Backend& backend, std::int32_t n_slots, SessionOptions options = {});
  Backend& backend() const { return backend_; }

  /// Adds a state tensor with two versions. Call this before the first step.
  std::int32_t add_state(DType dtype, const Shape& shape);
  /// Adds keys or values in pages, with room for `n_rows` rows per sequence. Call this before the
  /// first step. All tensors of pages have the same number of rows.
  std::int32_t add_pages(DType dtype, std::int64_t width, std::int64_t n_rows);

  struct Context {
    Graph& graph;
    const StateLayout& layout;
    std::vector<Tensor> inputs;
    Tensor state(std::int32_t index) const { return graph.state(layout, index); }
  };
  /// Records the ops of a step and returns its outputs, which have rows of 4-byte elements.
  using Record = std::function<std::vector<Tensor>(const Context& context)>;
  /// Runs one step with n_rows[g] rows of each sequence g, at most kMaxRows together. Returns the
  /// valid rows of every output. The bits of an i32 output are the bits of its floats. A graph that
  /// was recorded before is not compiled again.
  std::vector<std::vector<float>> run(std::span<const std::uint32_t> n_rows,
                                      std::span<const SessionInput> inputs, const Record& record);
  /// Runs one step with n_rows rows of sequence 0.
  std::vector<std::vector<float>> run(std::uint32_t n_rows, std::span<const SessionInput> inputs,
                                      const Record& record) {
    return run(std::span(&n_rows, 1), inputs, record);
  }

  /// Sets the position of the next row of a sequence. At position 0, the step reads the state as
  /// zeros.
  void set_position(std::uint32_t slot, std::uint32_t position);
  /// The content of an f32 state tensor in the slot `slot`, as the next step reads it.
  std::vector<float> read_state(std::int32_t index, std::uint32_t slot);
  void write_state(std::int32_t index, std::uint32_t slot, std::span<const float> values);
  /// The rows of an f32 tensor of pages from position `first` on. Without a number of rows: all.
  std::vector<float> read_pages(std::int32_t index, std::uint32_t slot = 0, std::int64_t first = 0,
                                std::int64_t n_rows = -1);
  void write_pages(std::int32_t index, std::uint32_t slot, std::int64_t first,
                   std::span<const float> values);

 private:
  /// A planned and compiled graph.
  struct CompiledStep {
    std::string structure_key;
    std::shared_ptr<const Plan> plan;
    Buffer arena;
    Executable executable;
  };
  static constexpr std::size_t kMaxKinds = 12;

  void allocate_state();
  StepBuffer next_step(std::span<const std::uint32_t> n_rows) const;
  /// The compiled step of a graph. It uses the present arena.
  const CompiledStep& find(const std::shared_ptr<Graph>& graph);
  void compile(CompiledStep& step);
  void upload_rows(const CompiledStep& step, const Tensor& tensor, const SessionInput& input);
  std::vector<float> download_rows(const CompiledStep& step, const Tensor& tensor,
                                   std::uint32_t n_rows);
  std::size_t state_offset(std::int32_t index, std::uint32_t slot) const;
  std::size_t page_offset(std::int32_t index, std::uint32_t slot, std::int64_t row) const;

  Backend& backend_;
  SessionOptions options_;
  std::shared_ptr<StateLayout> layout_;
  std::vector<Buffer> state_;
  std::vector<std::uint32_t> positions_;
  std::list<CompiledStep> steps_;  ///< most recently used first
  std::uint32_t n_pages_ = 0;      ///< pages of one sequence
  std::uint32_t version_ = 0;      ///< the version that the latest step wrote
};

}  // namespace bitaxon
