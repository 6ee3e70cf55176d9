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
  bool feeds_last = false;              ///< one more step feeds the last token to the state
  std::optional<int> run_ahead = {};    ///< steps ahead of the step that is waited for, at most
                                        ///< the model's run_ahead, which is the default
};

/// Decodes sequences of one model together. Step 0 feeds the first ids of each sequence and samples
/// token 0. Step k feeds token k - 1 and samples token k. Up to run_ahead steps are submitted
/// before the host knows the tokens that they feed. While a decoder works, no other code may submit
/// steps for its states.
class Decoder {
 public:
  /// Each of `sequences` has a state, a sampler, and the ids that step 0 feeds. Without ids, step 0
  /// feeds the token that the state has sampled. The ids need not outlive the first next().
  Decoder(Model& model, std::vector<SegmentInput> sequences, const DecodeLimits& limits = {});

  /// Feeds a prompt of any length to the decoder's only sequence. The last chunk of the prompt is
  /// step 0. After every other chunk, calls `go_on`. If `go_on` returns false, feed() returns
  /// false, and the state ends after the latest chunk that was fed. Throws as Model::feed does.
  bool feed(std::span<const std::int32_t> prompt, const std::function<bool()>& go_on);

  /// Submits steps ahead, then waits for the oldest step. Returns one token for each sequence, or
  /// -1 if its logits were not finite. The span is valid until the next call of the decoder or the
  /// model.
  std::span<const std::int32_t> next();

  /// Takes back every step whose tokens next() has not returned. The states then end before the
  /// last token that next() has returned.
  void take_back() { take_back_all_but(0); }
  /// Makes the states end after the last token that next() has returned, or before it if it is the
  /// last of all and the limits do not feed that one.
  void settle();
  /// Waits for every submitted step and keeps their tokens for next(). Other code may then submit
  /// steps to the model.
  void hold();
  /// Takes back the steps in flight so that the states need no sampled token to continue: other code
  /// may then replace each state by a copy, and next() goes on with the copies. Call this after
  /// step 0.
  void pause();
  /// Waits for every submitted step. Their tokens are lost.
  void finish();

  /// The host work and the transfers of a step that feeds a token back and samples the next token.
  /// Zeros before the first such step.
  const StepCounts& counts() const { return counts_; }

 private:
  void submit();
  void submit_ahead();
  /// Waits for the steps in flight, and takes back all but the first `n_kept` of them.
  void take_back_all_but(std::size_t n_kept);

  Model& model_;
  std::vector<SegmentInput> sequences_;
  DecodeLimits limits_;
  std::int64_t n_submitted_ = 0;  ///< number of submitted steps, with step 0
  std::deque<Ticket> in_flight_;  ///< submitted steps that next() has not returned, oldest first
  /// The tokens of the oldest steps in flight, which hold() has waited for.
  std::deque<std::vector<std::int32_t>> held_;
  std::vector<std::int32_t> returned_;  ///< the tokens that next() has returned last
  std::vector<std::int32_t> resume_;    ///< after pause(): the ids that the next step feeds
  StepCounts counts_;
};

}  // namespace bitaxon
