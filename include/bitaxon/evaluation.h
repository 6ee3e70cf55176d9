// Measures how well a model predicts a text, and how much the predictions of two models differ.
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

/// The likelihood of a text under a model.
struct BX_API Perplexity {
  std::int64_t tokens = 0;  ///< predicted tokens
  double nll_sum = 0;       ///< sum of negative log-likelihoods, in nats
  double nll_squares = 0;   ///< sum of the squares of negative log-likelihoods

  void add(double nll);
  double nll_per_token() const;
  /// The perplexity.
  double value() const;
  /// The standard error of value(): value() times the standard error of nll_per_token().
  double std_error() const;
};

/// The difference between two models' distributions over the next token.
struct Divergence {
  double mean_kl = 0;         ///< Kullback-Leibler divergence of `model` from `against`, in nats
  double kl_99 = 0;           ///< 99th percentile of the divergence over the tokens
  double top1_agreement = 0;  ///< share of tokens where both models find the same token likeliest
};

struct EvaluationOptions {
  std::int64_t seq_length = 512;  ///< tokens of a window
  std::int64_t batch_size = 1;    ///< windows of one step, 1 to kMaxSegments; `carry` requires 1
  bool carry = false;             ///< a window continues the state of the window before
  /// The text is a list of sequences of seq_length + 1 tokens. The first token of each is fed, but
  /// not predicted from the sequence before. Not together with `carry`.
  bool apart = false;
};

struct Evaluation {
  Perplexity model, against;
  std::optional<Divergence> divergence;  ///< set if there is a second model
  std::int64_t windows = 0;
  double seconds = 0;
};

/// Scores the prediction of every token of `ids` after the first. The text is cut into windows of
/// seq_length tokens, and the last window may be shorter. Each step feeds a few tokens of every
/// window of a batch. Only the logits of one step are in memory at a time. Each model needs
/// `batch_size` slots. `against` may be null, or a model with the same vocabulary. Returns nothing
/// if the call was interrupted. Throws Error(invalid_argument) for fewer than two ids, for ids
/// outside the vocabulary, for a window longer than max_seq_len (with `carry`, a text longer than
/// max_seq_len), and for a batch size out of range. Throws Error(device) for logits that are not
/// finite.
BX_API std::optional<Evaluation> evaluate(
    Model& model, Model* against, std::span<const std::int32_t> ids,
    const EvaluationOptions& options,
    const std::function<void(std::uint64_t done)>& on_progress = {},
    const std::atomic<bool>* interrupted = nullptr);

/// The negative log-likelihoods of several answers after the same prompt, in nats. Each answer begins
/// from the state after the prompt, which is fed once. The model needs one slot. Returns nothing if
/// the call was interrupted. Throws Error(invalid_argument) for an empty prompt, for ids outside the
/// vocabulary, and for an answer that is empty or does not fit into a step or the context. Throws
/// Error(device) for logits that are not finite.
BX_API std::optional<std::vector<double>> score_answers(
    Model& model, std::span<const std::int32_t> prompt,
    std::span<const std::vector<std::int32_t>> answers,
    const std::atomic<bool>* interrupted = nullptr);

/// The ids of a text for evaluate(). `max_tokens` limits the number of predicted ids. If it is
/// empty, the ids of the whole text are returned. Messages call the text `name`. Throws
/// Error(invalid_argument) for a text that is not UTF-8 and for a text of fewer than two tokens.
BX_API std::vector<std::int32_t> evaluation_ids(const std::string& name, std::string_view text,
                                                const Vocabulary& vocabulary,
                                                std::optional<std::int64_t> max_tokens = {});

/// Checks that each id is the same token in both models, and that both encode `text` to the same
/// ids. evaluate() needs this, because it feeds both models the same ids and compares their
/// probabilities. If the second model has no tokenizer, the tokenizer of the first is used for
/// both. Throws Error(invalid_argument) whose message begins with `argument`, the name of the
/// option that named the second model.
BX_API void check_same_tokens(const std::string& argument, std::string_view text,
                              const Session& first, const Session& second);

}  // namespace bitaxon
