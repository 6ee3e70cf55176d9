// Flags that several commands share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/devices.h"
#include "bitaxon/model.h"
#include "bitaxon/session.h"
#include "bitaxon/tokenizer.h"
#include "flags.h"

namespace bitaxon::tool {

/// The flags that name the model and the tokenizer.
struct ModelOptions {
  std::string flag = "--model";   ///< the flag that names the model, for messages
  std::string model = {};         ///< as typed; empty for the default model
  ModelUse use = ModelUse::text;  ///< chooses the default model
  std::string tokenizer = {};
  /// The chat template whose special tokens the tokenizer must have. Empty if there is no chat.
  std::optional<ChatTemplate> chat_template = {};
  /// Presets with random weights; ignored when a model is named.
  bool config_small = false;
  bool config_medium = false;
  std::string preset = {};      ///< a preset with random weights, instead of a model; may be empty
  std::string context = {};     ///< the most tokens of a sequence; empty for as many as fit
  std::string quantize = {};    ///< how to quantize while loading: "nf4" or "mlx"; may be empty
  std::string adapter = {};     ///< the file or folder of an adapter; empty for none
  std::string lora_scale = {};  ///< replaces the adapter's factor; empty for its own
  /// Whether to use random weights for the default configuration if no model is named.
  bool random_by_default = false;
  /// Whether random weights are 4-bit codes. Their format is `quantize`, or "mlx" if that is empty.
  bool random_codes = false;
};

/// The variable that names the device when no flag does.
inline constexpr const char* kDeviceVariable = "BIT_AXON_DEVICE";

/// The flags that say where and how the model runs.
struct DeviceOptions {
  std::string flag = "--device";  ///< the flag that names the device, for messages
  std::string device = "auto";
  std::string precision = {};
  std::string threads = {};
  std::string shader_dir = {};
  std::string tiles = {};

  /// Throws UsageError.
  OpenOptions open_options() const;
  std::optional<Precision> wanted_precision() const;
  void check() const;
};

struct OutputOptions {
  bool quiet = false;
  bool verbose = false;
};

/// Takes MODEL as the model if it is given. Throws UsageError when --model is given too.
void take_positional_model(const std::string& positional, ModelOptions& options);

void add_model_options(Command& command, ModelOptions& options);
/// Adds the model options without the tokenizer. `default_model` describes the model that is used
/// when none is named.
void add_weight_options(Command& command, ModelOptions& options, const std::string& default_model);
/// The preset that a flag names. Empty without such a flag.
std::string named_preset(const ModelOptions& options);
/// Adds --preset.
void add_preset_option(Command& command, ModelOptions& options);
/// Throws UsageError for an unknown preset, and for a preset beside a model or another preset.
void check_preset(const ModelOptions& options);
/// Adds --quantize, which commands that load a model have.
void add_context_option(Command& command, ModelOptions& options);
void add_quantize_option(Command& command, ModelOptions& options);
/// Adds --adapter and --lora-scale, which commands that run a model have.
void add_adapter_options(Command& command, ModelOptions& options);
void add_device_options(Command& command, DeviceOptions& options);
/// Adds the device options without the flag that names the device.
void add_precision_options(Command& command, DeviceOptions& options);
void add_shader_option(Command& command, DeviceOptions& options);
void add_output_options(Command& command, OutputOptions& options);

/// Parses a number. The whole text must be a number in the range and not NaN. Otherwise throws a
/// UsageError that names the flag, the value and the range.
double parse_number(const std::string& flag, const std::string& text, double min, double max,
                    bool min_excluded = false);
std::int64_t parse_integer(const std::string& flag, const std::string& text, std::int64_t min,
                           std::int64_t max);
/// Parses the number of bits of a code: 4 or 8.
int parse_bits(const std::string& flag, const std::string& text);
/// Parses a group size: 32, 64 or 128.
std::int64_t parse_group_size(const std::string& flag, const std::string& text);
/// Parses the name of a type of floats: f32, f16 or bf16.
DType parse_float_type(const std::string& flag, const std::string& text);
std::uint64_t parse_seed(const std::string& flag, const std::string& text);

// Each command adds itself to the command line.
void add_run(CommandLine& line);
void add_chat(CommandLine& line);
void add_logits(CommandLine& line);
void add_compare(CommandLine& line);
void add_template(CommandLine& line);
void add_tokenize(CommandLine& line);
void add_detokenize(CommandLine& line);
void add_inspect(CommandLine& line);
void add_devices(CommandLine& line);
void add_doctor(CommandLine& line);
void add_download(CommandLine& line);
void add_port_weights(CommandLine& line);
void add_upload(CommandLine& line);
void add_quantize(CommandLine& line);
void add_merge(CommandLine& line);
void add_train(CommandLine& line);
void add_evaluate(CommandLine& line);
void add_benchmark(CommandLine& line);
void add_prepare(CommandLine& line);
void add_pipeline(CommandLine& line);

}  // namespace bitaxon::tool
