// The same ids through the same model on two devices: what came out, side by side.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/config.h"
#include "bitaxon/model.h"
#include "difference.h"
#include "formats/json.h"

namespace bitaxon::tool {

/// What is asked of every step of the ids.
inline constexpr StepOptions kAllOutputs{StepOutput::all_logits, true};

/// One of the two devices, and what it did alone.
struct ComparedDevice {
  std::string backend;  ///< "cpu"
  std::string name;     ///< "AMD EPYC, 2 threads"
  Precision precision = Precision::exact;
  std::vector<std::int32_t> greedy_tokens;  ///< the last one is -1 when its logits were not finite
  double prefill_seconds = 0;
  double decode_seconds = 0;  ///< of the greedy tokens after the first
  /// NaN when there was nothing to measure.
  double decode_tokens_per_sec() const;
};

struct Comparison {
  std::string model_name;
  Config config;
  Tolerance tolerance;
  std::int64_t n_rows = 0;
  std::size_t n_pieces = 0;
  ComparedDevice a, b;
  std::vector<Difference> layers;  ///< of the activations after each
  Difference logits;
  std::int64_t n_same_likeliest = 0;  ///< rows whose likeliest token is the same
  std::int64_t n_greedy = 0;          ///< tokens generated on each device after the prompt
  std::int64_t n_same_greedy = 0;     ///< before the first that differs
  std::optional<Parting> parting;     ///< where n_same_greedy < n_greedy

  double prefill_tokens_per_sec(const ComparedDevice& device) const;
};

/// Two devices with the same model on them.
struct DevicePair {
  Model& a;
  Model& b;
};

/// What is fed to both, and how.
struct ComparisonInput {
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> pieces;  ///< add up to ids; none larger than a step
  std::int64_t max_tokens = 0;      ///< greedy tokens, as far as max_seq_len has room for them
};

/// Feeds each piece to a, then to b, one of them at work at a time, and keeps nothing of it but
/// what is measured. Empty when interrupted.
std::optional<Comparison> compare(const DevicePair& devices, const ComparisonInput& input,
                                  const Tolerance& tolerance, const std::atomic<bool>& interrupted,
                                  const std::function<void(std::size_t n_rows)>& on_progress);

/// The first thing, in the order of computation, that is beyond the tolerance.
struct Finding {
  std::string what;  ///< "layer 3", "logits", "greedy"
  std::string why;
};
std::optional<Finding> first_beyond_tolerance(const Comparison& comparison);

std::string report_text(const Comparison& comparison);
Json report_json(const Comparison& comparison);

}  // namespace bitaxon::tool
