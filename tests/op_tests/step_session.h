// Steps of hand-made graphs that carry state from one step to the next.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cases/op_harness.h"
#include "formats/safetensors.h"

namespace bitaxon::test {

/// A weight of a recorded file, packed. `shape` is the shape for ops, [n_matrices, rows, cols]. The
/// file may store the elements, in the same order, with another shape (vectors, convolutions).
std::shared_ptr<const Weight> packed_weight(Backend& backend, const Checkpoint& file,
                                            const std::string& name, const Shape& shape);
/// Values made by the test, as f32.
std::shared_ptr<const Weight> packed_weight(Backend& backend, const Shape& shape,
                                            std::span<const float> values);

/// An input of a step, [valid rows, ...]. Rows beyond them up to the bucket are NaN.
struct SessionInput {
  DType dtype = DType::f32;
  std::vector<std::int64_t> row_shape;
  std::span<const std::byte> bytes;
};
inline SessionInput rows_of(std::span<const float> values, std::int64_t cols) {
  return {DType::f32, {cols}, std::as_bytes(values)};
}

/// Runs a sequence of steps on a backend, with state. Sequence g has slot g. Steps alternate two
/// versions.
class StepSession {
 public:
  StepSession(Backend& backend, std::int32_t n_slots, ScheduleOptions options = {});
  Backend& backend() const { return backend_; }

  /// Must be called before the first step. versions: 2, or 1 for ring buffers of the KV cache.
  std::int32_t add_state(DType dtype, const Shape& shape, std::int32_t versions);

  struct Context {
    Graph& graph;
    const StateLayout& layout;
    std::vector<Tensor> inputs;
    Tensor state(std::int32_t index) const { return graph.state(layout, index); }
  };
  using Record = std::function<std::vector<Tensor>(const Context& context)>;
  /// Runs one step with n_rows[g] rows of each sequence g. Returns the valid rows of every output.
  std::vector<std::vector<float>> run(std::span<const std::uint32_t> n_rows,
                                      std::span<const SessionInput> inputs, const Record& record);
  /// Runs a step for a single sequence.
  std::vector<std::vector<float>> run(std::uint32_t n_rows, std::span<const SessionInput> inputs,
                                      const Record& record) {
    return run(std::span(&n_rows, 1), inputs, record);
  }

  /// The content of an f32 state tensor after the last step.
  std::vector<float> read_state(std::int32_t index, std::uint32_t slot);

 private:
  StepBuffer next_step(std::span<const std::uint32_t> n_rows);

  Backend& backend_;
  ScheduleOptions options_;
  std::shared_ptr<StateLayout> layout_;
  std::vector<Buffer> state_;
  std::vector<std::uint32_t> positions_;
  std::uint32_t version_ = 0;  ///< written by the last step
};

}  // namespace bitaxon::test
