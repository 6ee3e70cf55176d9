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

/// Folders of the tree, and those of another folder of recorded cases that the environment names
/// (the larger ones are not kept in the repository).
std::vector<std::filesystem::path> golden_case_folders();

/// How far from the recorded numbers a device may be, in relative L2.
struct GoldenBound {
  double whole = 0;
  double row_factor = 1;  ///< of that bound, for every single row
};

/// Rows that a device computed beside those that were recorded.
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

/// A recorded case, its model loaded on a backend.
class GoldenCase {
 public:
  GoldenCase(Backend& backend, const std::filesystem::path& folder, Precision precision);

  /// What this model is held to on this backend. One without 16-bit or 4-bit tensors is exact
  /// whatever was asked for.
  GoldenBound bound() const;
  /// Ways to feed the prompt: in few pieces, in uneven ones, row by row.
  std::vector<std::vector<std::size_t>> prompt_splits() const;
  /// Logits of every id of the prompt, fed in pieces.
  GoldenRows prefill(std::span<const std::size_t> pieces);
  /// Logits after the prompt and after each recorded token but the last, fed one by one.
  GoldenRows decode();
  /// The tokens that decode() feeds: the likeliest of each row.
  const std::vector<std::int32_t>& greedy_ids() const { return greedy_ids_; }
  /// What each layer hands on, for the first step of the prompt; empty for a case that was recorded
  /// without it.
  std::vector<GoldenRows> layers();

 private:
  Checkpoint io_;
  Model model_;
  std::vector<std::int32_t> input_ids_;
  std::vector<std::int32_t> greedy_ids_;
};

}  // namespace bitaxon::test
