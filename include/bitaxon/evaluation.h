// How well a model predicts a text, and how far two models' predictions lie apart.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/export.h"
#include "bitaxon/generate.h"
#include "bitaxon/model.h"
#include "bitaxon/session.h"

namespace bitaxon {

/// What there is to say of the likelihood of a text.
struct BX_API Perplexity {
  std::int64_t tokens = 0;  ///< predicted
  double nll_sum = 0;       ///< negative log-likelihoods, in nats
  double nll_squares = 0;

  void add(double nll);
  double nll_per_token() const;
  double value() const;
  /// Of value(): that times the standard error of the mean of the negative log-likelihoods.
  double std_error() const;
};

/// How two models' distributions over the next token differ.
struct Divergence {
  double mean_kl = 0;         ///< Kullback-Leibler divergence of `model` from `against`, in nats
  double kl_99 = 0;           ///< its 99th percentile over the tokens
  double top1_agreement = 0;  ///< share of tokens where both find the same likeliest
};

struct EvaluationOptions {
  std::int64_t seq_length = 512;  ///< tokens of a window
  std::int64_t batch_size = 1;    ///< windows of one step, 1 to kMaxSegments; 1 with `carry`
  bool carry = false;  ///< windows begin with the state of the one before, not a fresh one
};

struct Evaluation {
  Perplexity model, against;
  std::optional<Divergence> divergence;  ///< with a second model
  std::int64_t windows = 0;
  double seconds = 0;
};

/// Feeds window i of `ids`, from i * seq_length on, and predicts the token after each of its own;
/// the last window may be short. Each step feeds a piece of every window of a batch, and only its
/// logits are held. Both models need `batch_size` slots. `against` may be null; it has the same
/// vocabulary. Returns nothing when it was interrupted. Throws Error(invalid_argument): fewer than
/// two ids, ids outside the vocabulary, windows (with `carry` the whole text) longer than
/// max_seq_len, a batch size out of range; Error(device): logits that are not finite.
BX_API std::optional<Evaluation> evaluate(
    Model& model, Model* against, std::span<const std::int32_t> ids,
    const EvaluationOptions& options,
    const std::function<void(std::uint64_t done)>& on_progress = {},
    const std::atomic<bool>* interrupted = nullptr);

/// The ids of a text for evaluate(): the whole text, or so many that `max_tokens` of them are
/// predicted. `name` is what messages call the text. Throws Error(invalid_argument) for a text that
/// is not UTF-8 and for one of fewer than two tokens.
BX_API std::vector<std::int32_t> evaluation_ids(const std::string& name, std::string_view text,
                                                const Vocabulary& vocabulary,
                                                std::optional<std::int64_t> max_tokens = {});

/// Both models are fed the same ids, and their probabilities for an id are compared. So each id must
/// be the same token in both models. If the second model has no tokenizer, the first one's is used.
/// Throws Error(invalid_argument) that begins with `argument`, which named the second model.
BX_API void check_same_tokens(const std::string& argument, std::string_view text,
                              const Session& first, const Session& second);

}  // namespace bitaxon
