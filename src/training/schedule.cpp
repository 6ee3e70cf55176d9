#include <algorithm>
#include <cmath>
#include <numbers>

#include "bitaxon/train.h"

namespace bitaxon {

// The schedules of MLX 0.31: the peak is reached at step `warmup_steps`, and the decay begins one
// step later.
double learning_rate_at(const OptimizerSettings& settings, std::int64_t n_done) {
  const auto warmup = static_cast<double>(settings.warmup_steps);
  const auto done = static_cast<double>(n_done);
  if (settings.warmup_steps > 0 && n_done <= settings.warmup_steps)
    return settings.learning_rate * done / warmup;
  if (settings.schedule == LearningRateSchedule::constant) return settings.learning_rate;
  const double since = settings.warmup_steps > 0 ? done - (warmup + 1) : done;
  const double length =
      std::max<double>(static_cast<double>(settings.max_steps - settings.warmup_steps), 1);
  const double share = std::min(since / length, 1.0);
  const double left = settings.schedule == LearningRateSchedule::cosine
                          ? (1 + std::cos(std::numbers::pi * share)) / 2
                          : 1 - share;
  return settings.min_learning_rate + (settings.learning_rate - settings.min_learning_rate) * left;
}

}  // namespace bitaxon
