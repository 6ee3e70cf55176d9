// Measures the speed and the memory of training, next to the prefill of the same model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/benchmark.h"
#include "bitaxon/export.h"
#include "bitaxon/session.h"
#include "bitaxon/train.h"

namespace bitaxon {

struct TrainBenchWish {
  std::int64_t n_tokens = 512;  ///< of the sequence that each update trains on
  AdapterSettings adapter;
  std::int64_t n_warmup = 2;
  std::int64_t n_iterations = 5;
  bool profile = false;  ///< whether to measure the ops of one more update
};

struct BX_API TrainBenchmark {
  std::string model, device, backend;
  int n_threads = 0;
  Precision precision = Precision::exact;
  TrainBenchWish wish;
  std::int64_t n_parameters = 0, n_base_parameters = 0;
  Spread update_seconds;   ///< forward, backward and the change of the parameters
  Spread prefill_seconds;  ///< the prefill of a sequence of the same length
  RateRange rates;
  std::int64_t update_flops = 0;      ///< operations of one update
  std::uint64_t announced_bytes = 0;  ///< the sum of the memory table
  std::uint64_t peak_bytes = 0;       ///< while only training was in memory
  std::vector<ProfiledOp> ops;        ///< of one update; empty if they were not measured

  double tokens_per_sec() const {
    return static_cast<double>(wish.n_tokens) / update_seconds.median;
  }
  double prefill_tokens_per_sec() const {
    return static_cast<double>(wish.n_tokens) / prefill_seconds.median;
  }
  /// Trained tokens per second, divided by the prefill's.
  double prefill_share() const { return prefill_seconds.median / update_seconds.median; }
  /// The time of the operations at the device's best float32 rate, divided by the measured time. 0 if
  /// the rate is not known.
  double limit_share() const;
};

/// Trains on random tokens, first alone, so that its memory is measured. Then loads the model a second
/// time, and updates and prefills run in turn. Throws as load_session() does, and OutOfMemory.
BX_API TrainBenchmark measure_training(
    const FoundModel& found, const OpenedDevice& device, std::optional<Precision> precision,
    const TrainBenchWish& wish,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& on_progress = {});

}  // namespace bitaxon
