#include "options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "bitaxon/model_spec.h"
#include "console.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

[[noreturn]] void fail_value(const std::string& flag, const std::string& expected,
                             const std::string& got) {
  throw UsageError(fmt::format("{}: expected {}, got \"{}\"", flag, expected, printable(got)));
}

bool is_of_environment(const std::string& device) {
  const char* value = std::getenv(kDeviceVariable);
  return value != nullptr && device == value;
}

}  // namespace

void take_positional_model(const std::string& positional, ModelOptions& options) {
  if (positional.empty()) return;
  if (!options.model.empty()) throw UsageError("expected one of MODEL and --model, got both");
  options.model = positional;
  options.flag = "MODEL";
}

void add_weight_options(Command& command, ModelOptions& options, const std::string& default_model) {
  command
      .add("-m,--model", options.model,
           fmt::format("A model directory, a safetensors file, or a hub id owner/name that "
                       "is in the local hub cache (default: {})",
                       default_model))
      .type("PATH|REPO")
      .not_empty();
  const Flag small = command.add("--config-small", options.config_small,
                                 "The small preset with random weights and a byte tokenizer "
                                 "(ignored when a model is named)");
  command
      .add("--config-medium", options.config_medium,
           "The medium preset with random weights (ignored when a model is named)")
      .excludes(small);
}

void add_model_options(Command& command, ModelOptions& options) {
  add_weight_options(command, options, "skyoo2003/bit-axon if it is there, else a bundled model");
  command
      .add("-t,--tokenizer", options.tokenizer,
           "A tokenizer.json, a tokenizer.model, a folder with one, or a hub id owner/name "
           "that is in the local hub cache (default: the model's)")
      .type("PATH|REPO")
      .not_empty();
}

std::string named_preset(const ModelOptions& options) {
  if (options.config_small) return "small";
  if (options.config_medium) return "medium";
  return options.preset;
}

void add_preset_option(Command& command, ModelOptions& options) {
  command
      .add("--preset", options.preset,
           fmt::format("Random weights in the shape of a known model: {}",
                       fmt::join(preset_names(), ", ")))
      .type("NAME")
      .not_empty();
}

void check_preset(const ModelOptions& options) {
  if (options.preset.empty()) return;
  if (!options.model.empty()) throw UsageError("--preset: expected no --model beside it, got both");
  if (options.config_small || options.config_medium)
    throw UsageError("--preset: expected no --config-small or --config-medium beside it, got both");
  const auto names = preset_names();
  if (std::ranges::find(names, options.preset) == names.end())
    throw UsageError(fmt::format("--preset: expected one of {}, got \"{}\"", fmt::join(names, ", "),
                                 printable(options.preset, 60)));
}

void add_context_option(Command& command, ModelOptions& options) {
  command
      .add("--context", options.context,
           "The most tokens of the text (default: what the model allows, or what fits into memory)")
      .type("N")
      .not_empty();
}

void add_quantize_option(Command& command, ModelOptions& options) {
  command
      .add("--quantize", options.quantize,
           "Quantize matrices to 4 bits while loading, as the command quantize does: nf4 or mlx")
      .not_empty();
}

void add_adapter_options(Command& command, ModelOptions& options) {
  command
      .add("--adapter", options.adapter,
           "Run the model with a LoRA or DoRA adapter: its safetensors file, or the folder with it")
      .type("FILE")
      .not_empty();
  command
      .add("--lora-scale", options.lora_scale,
           "Factor of the adapter's product (default: what the adapter says, else 20)")
      .type("X")
      .not_empty();
}

void add_device_options(Command& command, DeviceOptions& options) {
  command
      .add(options.flag, options.device,
           "auto, cpu, reference, or vulkan[:SEL] with SEL an index, part of the name, a UUID "
           "or a PCI address")
      .environment(kDeviceVariable)
      .show_default();
  add_precision_options(command, options);
  add_shader_option(command, options);
}

void add_precision_options(Command& command, DeviceOptions& options) {
  command
      .add("--precision", options.precision,
           "exact or fast (default: fast for models with 16-bit or 4-bit tensors)")
      .not_empty();
  command.add("--threads", options.threads, "Threads of the CPU devices (default: all cores)")
      .type("N")
      .not_empty();
}

void add_shader_option(Command& command, DeviceOptions& options) {
  command
      .add("--shader-dir", options.shader_dir,
           fmt::format("For writing kernels: compile the shaders of this folder in place of "
                       "the program's ({} must be a Vulkan device)",
                       options.flag))
      .type("DIR")
      .not_empty();
  command
      .add(
          "--tiles", options.tiles,
          "Products of many rows in fast: float16, float32, matrix-64 or matrix-128 (default: what "
          "was the fastest on the Vulkan device)")
      .type("VARIANT")
      .not_empty();
}

void add_output_options(Command& command, OutputOptions& options) {
  const Flag quiet = command.add("--quiet", options.quiet, "Print only errors on stderr");
  command.add("--verbose", options.verbose, "Print more on stderr").excludes(quiet);
}

OpenOptions DeviceOptions::open_options() const {
  OpenOptions options;
  if (!threads.empty())
    options.n_threads = static_cast<int>(parse_integer("--threads", threads, 1, 1024));
  if (!shader_dir.empty() && (device == "cpu" || device == "reference"))
    throw UsageError(
        fmt::format("--shader-dir: expected a Vulkan device, got {} {}", flag, device));
  options.shader_dir = shader_dir;
  if (!tiles.empty() && (device == "cpu" || device == "reference"))
    throw UsageError(fmt::format("--tiles: expected a Vulkan device, got {} {}", flag, device));
  if (!tiles.empty() && tiles != "float16" && tiles != "float32" && tiles != "matrix-64" &&
      tiles != "matrix-128")
    fail_value("--tiles", "float16, float32, matrix-64 or matrix-128", tiles);
  options.tiles = tiles;
  return options;
}

std::optional<Precision> DeviceOptions::wanted_precision() const {
  if (precision.empty()) return std::nullopt;
  if (precision == "exact") return Precision::exact;
  if (precision == "fast") return Precision::fast;
  fail_value("--precision", "exact or fast", precision);
}

void DeviceOptions::check() const {
  open_options();
  wanted_precision();
  if (const auto problem = selector_problem(device))
    fail_value(flag + (is_of_environment(device) ? fmt::format(" (from {})", kDeviceVariable) : ""),
               "auto, cpu, reference or vulkan[:SEL]", device);
}

double parse_number(const std::string& flag, const std::string& text, double min, double max,
                    bool min_excluded) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
  const bool above = min_excluded ? value > min : value >= min;
  if (whole && std::isfinite(value) && above && value <= max) return value;
  if (!min_excluded && !std::isinf(max))
    fail_value(flag, fmt::format("a number from {} to {}", min, max), text);
  fail_value(flag,
             fmt::format("a number {} {}{}", min_excluded ? ">" : ">=", min,
                         std::isinf(max) ? "" : fmt::format(" and <= {}", max)),
             text);
}

std::int64_t parse_integer(const std::string& flag, const std::string& text, std::int64_t min,
                           std::int64_t max) {
  std::int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec == std::errc() && result.ptr == text.data() + text.size() && value >= min &&
      value <= max)
    return value;
  fail_value(flag,
             max == INT64_MAX ? fmt::format("a whole number >= {}", min)
                              : fmt::format("a whole number from {} to {}", min, max),
             text);
}

int parse_bits(const std::string& flag, const std::string& text) {
  if (text != "4" && text != "8") fail_value(flag, "4 or 8", text);
  return text == "4" ? 4 : 8;
}

std::int64_t parse_group_size(const std::string& flag, const std::string& text) {
  for (const std::int64_t size : {32, 64, 128})
    if (text == std::to_string(size)) return size;
  fail_value(flag, "32, 64 or 128", text);
}

DType parse_float_type(const std::string& flag, const std::string& text) {
  for (const auto& [name, type] :
       {std::pair("f32", DType::f32), std::pair("f16", DType::f16), std::pair("bf16", DType::bf16)})
    if (text == name) return type;
  fail_value(flag, "f32, f16 or bf16", text);
}

std::uint64_t parse_seed(const std::string& flag, const std::string& text) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec == std::errc() && result.ptr == text.data() + text.size()) return value;
  fail_value(flag, "a whole number from 0 to 2^64 - 1", text);
}

}  // namespace bitaxon::tool
