// The decode loop: sampled tokens are fed back by steps that are submitted ahead of time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "bitaxon/model.h"

namespace bitaxon {

struct DecodeLimits {
  std::int64_t max_tokens = INT64_MAX;  ///< tokens to sample for each sequence
  bool feeds_last = false;  ///< one more step feeds the last token, so that the state includes it
  std::optional<int> run_ahead = {};  ///< steps ahead of the one that is waited for; empty: the
                                      ///< model's run_ahead, which is the most
};

/// Decodes sequences of one model together. Step 0 feeds what the sequences begin with and samples
/// token 0 of each; step k feeds token k - 1 and samples token k. Up to run_ahead further steps are
/// submitted before the token that they continue from is known. Nothing else may submit steps for
/// these states meanwhile.
class Decoder {
 public:
  /// `sequences`: a state, a sampler, and the ids that step 0 feeds; without ids it feeds the token
  /// that the state has sampled. The ids need not outlive the first next().
  Decoder(Model& model, std::vector<SegmentInput> sequences, const DecodeLimits& limits = {});

  /// Makes the end of a prompt of any length step 0 of the only sequence. `go_on` is asked after
  /// each chunk. Returns false if it said no; then the state is where the last chunk ended. Throws
  /// as Model::feed does.
  bool feed(std::span<const std::int32_t> prompt, const std::function<bool()>& go_on);

  /// Submits steps ahead, then waits for the oldest. Returns one token for each sequence, -1 where
  /// the logits were not finite; valid until the next call of the decoder or the model.
  std::span<const std::int32_t> next();

  /// Takes back every step that was not waited for: the states end before the last token.
  void take_back() { take_back_all_but(0); }
  /// Brings the states to the end of the last token that next() has returned.
  void settle();
  /// Waits for every submitted step. Their tokens are lost.
  void finish();

  /// Host work and transfers of a step that feeds a token back and samples the next; zeros before
  /// the first.
  const StepCounts& counts() const { return counts_; }

 private:
  void submit();
  void submit_ahead();
  /// Leaves `n_kept` of the steps in flight in the states.
  void take_back_all_but(std::size_t n_kept);

  Model& model_;
  std::vector<SegmentInput> sequences_;
  DecodeLimits limits_;
  std::int64_t n_submitted_ = 0;  ///< steps, step 0 included
  std::deque<Ticket> in_flight_;  ///< submitted and not waited for, oldest first
  StepCounts counts_;
};

}  // namespace bitaxon
