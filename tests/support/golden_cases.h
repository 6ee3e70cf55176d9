// Runs the recorded cases of the original program on any backend. The cases cover whole prompts,
// split prompts, decoding, and every layer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/model.h"
#include "formats/safetensors.h"
#include "support/tensors.h"

namespace bitaxon::test {

/// The folders of the cases in the source tree and in $BITAXON_GOLDEN_DIR. The latter has the cases
/// that are too large for the repository.
std::vector<std::filesystem::path> golden_case_folders();

/// Bounds on the relative L2 difference between computed and recorded numbers.
struct GoldenBound {
  double whole = 0;
  double row_factor = 1;  ///< the bound for a single row is row_factor * whole
};

/// Rows that a device computed, and the recorded rows.
struct GoldenRows {
  std::string what;  ///< a name for the rows, such as "decode logits"
  std::int64_t n_rows = 0;
  std::vector<float> actual;
  std::vector<float> expected;

  std::span<const float> row(std::size_t r) const {
    const std::size_t cols = actual.size() / static_cast<std::size_t>(n_rows);
    return std::span(actual).subspan(r * cols, cols);
  }
  RowErrors errors() const { return row_errors(actual, expected, n_rows); }
};
void expect_within(const GoldenBound& bound, const GoldenRows& rows);

/// A recorded case, with its model loaded on a backend.
class GoldenCase {
 public:
  GoldenCase(Backend& backend, const std::filesystem::path& folder, Precision precision);

  /// The bound for this model on this backend. Without 16-bit and 4-bit tensors, a model is always
  /// exact.
  GoldenBound bound() const;
  /// Several ways to split the prompt: into few pieces, into uneven pieces, and into single rows
  /// after a long first piece.
  std::vector<std::vector<std::size_t>> prompt_splits() const;
  /// Feeds the prompt in pieces of these sizes and returns the logits of every id.
  GoldenRows prefill(std::span<const std::size_t> pieces);
  /// Feeds the prompt and then one recorded token at a time. Returns the logits after the prompt
  /// and after each token except the last.
  GoldenRows decode();
  /// The recorded tokens that decode() feeds. Each is the likeliest token of its row of logits.
  const std::vector<std::int32_t>& greedy_ids() const { return greedy_ids_; }
  /// The output of each layer for the first step of the prompt. Empty if the recording has no layer
  /// outputs.
  std::vector<GoldenRows> layers();

 private:
  Checkpoint io_;
  Model model_;
  std::vector<std::int32_t> input_ids_;
  std::vector<std::int32_t> greedy_ids_;
};

}  // namespace bitaxon::test
