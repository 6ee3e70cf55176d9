// What a config.json says about the quantization of a model's weights. The tensors themselves tell
// their formats. The config.json is only compared with them, because a file whose parts contradict
// each other is damaged or wrongly converted.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "formats/json_fwd.h"
#include "formats/safetensors.h"
#include "formats/stored_weight.h"
#include "formats/weight_source.h"

namespace bitaxon {

/// The keys of the block that describes the quantization. mlx writes the first key, the hub's tools
/// write the second.
inline constexpr std::array kQuantizationKeys = {"quantization", "quantization_config"};

class QuantizationConfig {
 public:
  /// Says nothing about any weight.
  QuantizationConfig() = default;
  /// Reads the text that quantization_block() returns. `name` is the config.json, which begins
  /// messages. Throws Error(unsupported) for a method that the program does not read. The message names the
  /// method and what the program reads. Throws Error(format) for a value of the wrong type.
  QuantizationConfig(std::string_view block, std::string_view name);

  /// Throws Error(format) that names the tensor and both formats if the config.json gives another
  /// format for the weight.
  void check(const Checkpoint& checkpoint, const WeightSource& source) const;

 private:
  /// The format of one module; format == dense means that the module is not quantized.
  struct Entry {
    WeightDesc form;
    std::string key;  ///< where config.json says so
  };
  void read_mlx(const Json& block, const std::string& place);
  void read_bitsandbytes(const Json& block);

  std::optional<Entry> others_;           ///< for the quantized modules that have no entry
  std::map<std::string, Entry> entries_;  ///< by the name of a module
};

/// The keys of a config.json that tell other programs the formats of a file with these weights:
/// "quantization" and "quantization_config" for MLX, "quantization_config" for bitsandbytes. An
/// empty object if all weights are floats, and if no program has such a mixture of formats.
Json quantization_keys(std::span<const StoredWeight> weights);

/// The part of a config.json that describes the quantization, as the text of an object with one key:
/// "quantization" (MLX) or "quantization_config". Empty if there is none.
std::string quantization_block(const Json& config);

}  // namespace bitaxon
