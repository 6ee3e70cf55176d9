// Feeds the same ids to the same model on two devices and compares the outputs.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/model.h"
#include "compare/difference.h"

namespace bitaxon::tool {

/// The outputs of each step that feeds the ids.
inline constexpr UniformStep kAllOutputs{StepOutput::all_logits, true};

/// One of the two devices, with the results of that device alone.
struct ComparedDevice {
  std::string backend;  ///< "cpu"
  std::string name;     ///< "AMD EPYC, 2 threads"
  Precision precision = Precision::exact;
  std::vector<std::int32_t> greedy_tokens;  ///< the last one is -1 if its logits are not finite
  double prefill_seconds = 0;
  double decode_seconds = 0;  ///< time of the greedy tokens after the first
  /// NaN when fewer than two tokens were generated.
  double decode_tokens_per_sec() const;
};

struct Comparison {
  std::string model_name;
  ModelSpec spec;
  Tolerance tolerance;
  std::int64_t n_rows = 0;
  std::size_t n_pieces = 0;
  ComparedDevice a, b;
  std::vector<Difference> layers;  ///< differences of the activations after each layer
  Difference logits;
  std::int64_t n_same_likeliest = 0;  ///< rows whose likeliest token is the same
  std::int64_t n_greedy = 0;          ///< tokens generated on each device after the prompt
  std::int64_t n_same_greedy = 0;     ///< equal tokens before the first token that differs
  std::optional<Parting> parting;     ///< set if n_same_greedy < n_greedy

  double prefill_tokens_per_sec(const ComparedDevice& device) const;
};

/// The same model on two devices.
struct DevicePair {
  Model& a;
  Model& b;
};

/// The ids for both devices, and how to feed them.
struct ComparisonInput {
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> pieces;  ///< number of ids of each step; the sum is ids.size()
  std::int64_t max_tokens = 0;      ///< greedy tokens to generate, if max_seq_len has room for them
};

/// Feeds each piece to device a, then to device b. Only one device works at a time. Outputs are not
/// kept, only their differences. Empty when interrupted.
std::optional<Comparison> compare(const DevicePair& devices, const ComparisonInput& input,
                                  const Tolerance& tolerance, const std::atomic<bool>& interrupted,
                                  const std::function<void(std::size_t n_rows)>& on_progress);

/// The first result, in the order of computation, that is beyond the tolerance.
struct Finding {
  std::string what;  ///< "layer 3", "logits", "greedy"
  std::string why;
};
std::optional<Finding> first_beyond_tolerance(const Comparison& comparison);

}  // namespace bitaxon::tool
