// Runs graphs that a test records, and keeps state from one step to the next.
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

/// Packs a weight of a recorded file. `shape` is the shape that the ops expect, [n_matrices, rows,
/// cols]. The file may store a vector or a convolution with another shape, but with the same order
/// of elements.
std::shared_ptr<const Weight> packed_weight(Backend& backend, const Checkpoint& file,
                                            const std::string& name, const Shape& shape);
/// Packs the given values as an f32 weight.
std::shared_ptr<const Weight> packed_weight(Backend& backend, const Shape& shape,
                                            std::span<const float> values);

/// An input of a step. `bytes` holds the valid rows. The other rows of the bucket become NaN.
struct SessionInput {
  DType dtype = DType::f32;
  std::vector<std::int64_t> row_shape;
  std::span<const std::byte> bytes;
};
inline SessionInput rows_of(std::span<const float> values, std::int64_t cols) {
  return {DType::f32, {cols}, std::as_bytes(values)};
}

/// Runs successive steps on a backend and keeps the state between them. Sequence g has slot g.
/// Successive steps alternate between two versions of the state.
class StepSession {
 public:
  StepSession(Backend& backend, std::int32_t n_slots, ScheduleOptions options = {});
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
  using Record = std::function<std::vector<Tensor>(const Context& context)>;
  /// Runs one step with n_rows[g] rows of each sequence g. Returns the valid rows of every output.
  std::vector<std::vector<float>> run(std::span<const std::uint32_t> n_rows,
                                      std::span<const SessionInput> inputs, const Record& record);
  /// Runs one step with n_rows rows of sequence 0.
  std::vector<std::vector<float>> run(std::uint32_t n_rows, std::span<const SessionInput> inputs,
                                      const Record& record) {
    return run(std::span(&n_rows, 1), inputs, record);
  }

  /// The content of an f32 state tensor after the latest step, in the slot `slot`.
  std::vector<float> read_state(std::int32_t index, std::uint32_t slot);
  /// The rows of an f32 tensor of pages of sequence 0, from position 0 on.
  std::vector<float> read_pages(std::int32_t index);

 private:
  StepBuffer next_step(std::span<const std::uint32_t> n_rows);

  Backend& backend_;
  ScheduleOptions options_;
  std::shared_ptr<StateLayout> layout_;
  std::vector<Buffer> state_;
  std::vector<std::uint32_t> positions_;
  std::uint32_t n_pages_ = 0;  ///< pages of one sequence
  std::uint32_t version_ = 0;  ///< the version that the latest step wrote
};

}  // namespace bitaxon::test
