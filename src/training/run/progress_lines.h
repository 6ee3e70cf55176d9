// The lines that a training run prints, and the objects that it writes to metrics.jsonl.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bitaxon/train.h"
#include "formats/json.h"
#include "training/run/run_state.h"
#include "training/tuner.h"

namespace bitaxon {

/// What is measured beside the numbers of an update.
struct Measured {
  double tokens_per_second = 0;
  std::uint64_t memory_bytes = 0;
  std::optional<double> temperature;  ///< degrees Celsius
};

/// Means over the updates since the latest line.
class LineMeans {
 public:
  void add(const UpdateResult& update, std::int64_t n_pairs, double seconds);
  void clear() { *this = {}; }
  double loss() const { return weight_ > 0 ? loss_ / weight_ : 0; }
  double tokens_per_second() const { return seconds_ > 0 ? tokens_ / seconds_ : 0; }
  double accuracy() const { return weight_ > 0 ? accuracy_ / weight_ : 0; }
  double margin() const { return weight_ > 0 ? margin_ / weight_ : 0; }

 private:
  double weight_ = 0, loss_ = 0, tokens_ = 0, seconds_ = 0, accuracy_ = 0, margin_ = 0;
};

/// Means over the micro-batches of an evaluation.
class EvaluationMeans {
 public:
  void add(const LossSum& part, std::int64_t n_tokens);
  /// The mean over target tokens; ORPO: over pairs. NaN without any.
  double loss() const { return sum_.loss / weight(); }
  /// The part of the loss that is a mean log-probability of tokens; ORPO: of the chosen answers.
  double nll(Objective objective) const {
    return objective == Objective::orpo ? sum_.orpo.nll / weight() : loss();
  }
  double accuracy() const { return sum_.orpo.accuracy / weight(); }
  double margin() const { return sum_.orpo.margin / weight(); }
  std::int64_t n_tokens() const { return n_tokens_; }

 private:
  double weight() const { return static_cast<double>(sum_.n_targets); }

  LossSum sum_;  ///< the means of ORPO are sums over pairs here
  std::int64_t n_tokens_ = 0;
};

/// "Step 40/1000  Loss: 2.3450  grad 1.23  lr 4.0e-05  612 tok/s  0.8 GB  81 C  eta 12m". The words
/// "Step N/M" and "Loss: X" are what Bit-Axon's app looks for.
std::string step_line(std::int64_t step, std::int64_t max_steps, Objective objective,
                      const UpdateResult& latest, const LineMeans& means, const Measured& measured,
                      double left_seconds);
/// "Eval 500/1000  loss 2.1010  ppl 8.17  (best)"; ORPO: "loss 2.1010  acc 0.75  margin 0.310".
std::string evaluation_line(std::int64_t step, std::int64_t max_steps, Objective objective,
                            const EvaluationMeans& means, bool is_best);
/// A duration as short text: "45s", "12m", "2h05m", "3d04h".
std::string duration_text(double seconds);

/// `beta` is ORPO's, for the rewards.
Json update_metrics(const RunState& state, const UpdateResult& update, Objective objective,
                    double beta, const Measured& measured);
Json evaluation_metrics(const RunState& state, Objective objective, const EvaluationMeans& means);
/// {"event": NAME, "step": N, "micro": N}, for more keys.
Json event_metrics(const char* event, const RunState& state);

}  // namespace bitaxon
