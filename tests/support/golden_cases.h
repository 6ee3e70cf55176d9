// The recorded cases of the original program, run on any backend: whole prompts, splits, decoding,
// every layer.
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

/// The case folders of the source tree, and those of the folder that $BITAXON_GOLDEN_DIR names
/// (larger cases are not kept in the repository).
std::vector<std::filesystem::path> golden_case_folders();

/// The bound on the difference from the recorded numbers, in relative L2.
struct GoldenBound {
  double whole = 0;
  double row_factor = 1;  ///< the bound of a single row is row_factor * whole
};

/// Rows that a device computed, and the recorded rows.
struct GoldenRows {
  std::string what;  ///< "decode logits"
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
  /// Ways to feed the prompt: in few pieces, in uneven ones, row by row.
  std::vector<std::vector<std::size_t>> prompt_splits() const;
  /// The logits of every id of the prompt, which is fed in pieces.
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
