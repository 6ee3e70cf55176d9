// Runs the recorded cases of the original program on any backend: whole prompts, split prompts,
// decoding, and every layer.
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

/// The case folders in the source tree and in the folder $BITAXON_GOLDEN_DIR. That folder holds
/// cases that are too large for the repository.
std::vector<std::filesystem::path> golden_case_folders();

/// The bound on the difference from the recorded numbers, in relative L2.
struct GoldenBound {
  double whole = 0;
  double row_factor = 1;  ///< the bound of a single row is row_factor * whole
};

/// Rows that a device computed, and the recorded rows.
struct GoldenRows {
  std::string what;  ///< what the rows are, such as "decode logits"
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

/// A recorded case with its model loaded on a backend.
class GoldenCase {
 public:
  GoldenCase(Backend& backend, const std::filesystem::path& folder, Precision precision);

  /// The bound for this model on this backend. A model without 16-bit or 4-bit tensors is always
  /// exact.
  GoldenBound bound() const;
  /// Ways to split the prompt: into few pieces, into uneven pieces, and row by row.
  std::vector<std::vector<std::size_t>> prompt_splits() const;
  /// Feeds the prompt in `pieces` and returns the logits of every id.
  GoldenRows prefill(std::span<const std::size_t> pieces);
  /// The logits after the prompt and after each recorded token except the last, fed one by one.
  GoldenRows decode();
  /// The tokens that decode() feeds: the likeliest token of each row.
  const std::vector<std::int32_t>& greedy_ids() const { return greedy_ids_; }
  /// The output of each layer for the first step of the prompt; empty if the case was recorded
  /// without layer outputs.
  std::vector<GoldenRows> layers();

 private:
  Checkpoint io_;
  Model model_;
  std::vector<std::int32_t> input_ids_;
  std::vector<std::int32_t> greedy_ids_;
};

}  // namespace bitaxon::test
