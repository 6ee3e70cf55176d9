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
/// The folders of the recorded models of other families than Bit-Axon.
std::vector<std::filesystem::path> family_case_folders();

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

/// A text of a recorded case.
struct GoldenPrompt {
  std::string suffix;  ///< ends the names of the text's tensors in the recording, such as "_70"
  std::vector<std::int32_t> ids;
};

/// A recorded case, with its model loaded on a backend.
class GoldenCase {
 public:
  GoldenCase(Backend& backend, const std::filesystem::path& folder, Precision precision);

  /// The bound for this model on this backend. Without 16-bit and 4-bit tensors, a model is always
  /// exact.
  GoldenBound bound() const;
  const std::vector<GoldenPrompt>& prompts() const { return prompts_; }
  /// Several ways to split a prompt: into few pieces, into uneven pieces, and into single rows after
  /// a first piece.
  static std::vector<std::vector<std::size_t>> splits_of(const GoldenPrompt& prompt);
  /// Feeds a prompt in pieces of these sizes and returns the logits of every id.
  GoldenRows prefill(const GoldenPrompt& prompt, std::span<const std::size_t> pieces);
  /// Feeds the prompt of the recorded continuation and then one recorded token at a time. Returns
  /// the logits after the prompt and after each token except the last.
  GoldenRows decode();
  /// The recorded tokens that decode() feeds. Each is the likeliest token of its row of logits.
  const std::vector<std::int32_t>& greedy_ids() const { return greedy_ids_; }
  /// The output of each layer for the first step of each prompt whose layer outputs are recorded.
  std::vector<GoldenRows> layers();

 private:
  /// Adds the prompts of recordings with several texts. Their names end in the number of ids.
  void find_prompts();
  void add_layers(const GoldenPrompt& prompt, std::vector<GoldenRows>& layers);

  Checkpoint io_;
  Model model_;
  std::vector<GoldenPrompt> prompts_;
  std::string logits_name_ = "prefill_logits", decode_name_ = "decode_logits";
  std::vector<std::int32_t> greedy_prompt_;
  std::vector<std::int32_t> greedy_ids_;
};

}  // namespace bitaxon::test
