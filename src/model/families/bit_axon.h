// The Bit-Axon family: its config.json, and the names of its tensors (docs/model.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/model_spec.h"
#include "formats/json_fwd.h"

namespace bitaxon {

/// The hyperparameters, with the names and the defaults of config.json.
struct BitAxonConfig {
  std::int64_t vocab_size = 32000;
  std::int64_t hidden_dim = 2560;
  std::int64_t num_layers = 24;
  std::int64_t num_heads = 32;
  std::int64_t d_source_model = 2048;
  std::int64_t ssm_d_state = 16;
  std::int64_t ssm_d_conv = 4;
  std::int64_t ssm_expand = 3;
  std::int64_t ssm_scan_step = 64;  ///< upstream's chunk length; results do not depend on it
  std::int64_t swa_window_size = 4096;
  std::int64_t moe_num_experts = 8;
  std::int64_t moe_top_k = 2;
  std::int64_t moe_intermediate_dim = 4096;
  bool moe_shared_expert = true;
  bool weight_tying = true;
  std::int64_t max_seq_len = 65536;
  double rms_norm_eps = 1e-6;
  std::string quantization = {};            ///< ModelSpec::quantization; to_json() omits it
  std::vector<std::int32_t> eos_token_ids;  ///< ids in eos_token_id; to_json() omits them

  std::int64_t d_inner() const { return ssm_expand * hidden_dim; }
  std::int64_t head_dim() const { return hidden_dim / num_heads; }
  /// The largest number of positions that a row of attention sees: the window, or the whole context
  /// if that is shorter.
  std::int64_t window() const { return std::min(swa_window_size, max_seq_len); }

  static BitAxonConfig small();
  static BitAxonConfig medium();
  /// Reads a config.json and validates it. Appends one line to `warnings` for each key that no code
  /// reads. Throws Error(format); the message begins with `name` and names the key, the value and
  /// what was expected.
  static BitAxonConfig read(const Json& json, std::string_view name,
                            std::vector<std::string>& warnings);
  /// Reads config.json text as read() does.
  static BitAxonConfig parse(std::string_view text, std::string_view name,
                             std::vector<std::string>& warnings);
  /// Checks every value, and the products that determine the sizes of tensors, so that nothing is
  /// allocated for a bad configuration. Throws Error(format) as read() does.
  void validate(std::string_view name) const;
  /// The text of a config.json with all keys.
  std::string to_json() const;
  /// Describes the model. Of n layers, the first n / 3 are selective scans, the next n / 3 are
  /// attention with experts, and the rest are selective scans with experts. The division rounds
  /// down. Throws as validate() does.
  ModelSpec spec() const;

  friend bool operator==(const BitAxonConfig&, const BitAxonConfig&) = default;
};

/// Describes a model of this family. Arguments and errors are those of describe_model().
ModelSpec describe_bit_axon(const Json& config, std::string_view name,
                            std::vector<std::string>& warnings);

}  // namespace bitaxon
