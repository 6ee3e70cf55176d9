#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "console.h"
#include "formats/json_file.h"
#include "model/adapter_file.h"
#include "platform/printable.h"
#include "train/train_flags.h"
#include "training/setting_words.h"

namespace bitaxon::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMost = std::int64_t{1} << 40;
constexpr double kMostNumber = std::numeric_limits<float>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The value of a flag that has a few words as values.
template <class T, std::size_t n>
T parse_word(const SettingWords<T, n>& words, const char* flag, const std::string& text) try {
  return value_of_word(words, flag, text);
} catch (const Error& error) {
  throw UsageError(error.what());
}

std::int64_t parse_count(const char* flag, const std::string& text, std::int64_t min = 1) {
  return parse_integer(flag, text, min, kMost);
}

std::vector<std::string> parse_names(const char* flag, const std::string& text) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= text.size() && !text.empty();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    names.push_back(text.substr(begin, end - begin));
    if (names.back().empty())
      throw UsageError(
          fmt::format("{}: expected names separated by commas, got \"{}\"", flag, printable(text)));
    begin = end + 1;
  }
  return names;
}

// ---- the parts of a request

DataOptions data_options(const TrainFlags& flags) {
  return {.objective = parse_word(kObjectiveWords, "--objective", flags.objective),
          .max_seq_len = parse_integer("--max-seq-len", flags.max_seq_len, 2, INT32_MAX),
          .train_on = parse_word(kTrainOnWords, "--train-on", flags.train_on),
          .mask = parse_word(kMaskWords, "--mask", flags.mask),
          .unmapped = parse_word(kUnmappedWords, "--unmapped", flags.unmapped)};
}

BatchOptions batch_options(const TrainFlags& flags) {
  BatchOptions options;
  options.batch_size = parse_integer("--batch-size", flags.batch_size, 1, 4096);
  options.packing = parse_word(kPackingWords, "--packing", flags.packing);
  options.shuffle = !flags.no_shuffle;
  options.seed = parse_seed("--seed", flags.seed);
  if (!flags.epochs.empty())
    options.epochs = static_cast<std::uint64_t>(parse_count("--epochs", flags.epochs));
  return options;
}

AdapterSettings adapter_settings(const TrainFlags& flags) {
  AdapterSettings adapter;
  adapter.kind = flags.no_dora ? AdapterKind::lora : AdapterKind::dora;
  adapter.rank = parse_integer("--lora-rank", flags.rank, 1, std::int64_t{1} << 20);
  adapter.scale = parse_number("--lora-scale", flags.scale, -kMostNumber, kMostNumber);
  adapter.dropout = parse_number("--lora-dropout", flags.dropout, 0, 0.999999);
  adapter.targets = parse_names("--targets", flags.targets);
  if (!flags.layers.empty())
    adapter.last_blocks = parse_integer("--layers", flags.layers, 1, 1 << 20);
  return adapter;
}

OptimizerSettings optimizer_settings(const TrainFlags& flags) {
  OptimizerSettings optimizer;
  optimizer.learning_rate =
      parse_number("--learning-rate", flags.learning_rate, 0, kMostLearningRate, true);
  optimizer.min_learning_rate = parse_number("--min-lr", flags.min_lr, 0, optimizer.learning_rate);
  optimizer.schedule = parse_word(kScheduleWords, "--schedule", flags.schedule);
  optimizer.warmup_steps = parse_count("--warmup-steps", flags.warmup_steps, 0);
  optimizer.max_steps = parse_count("--max-steps", flags.max_steps);
  optimizer.weight_decay = parse_number("--weight-decay", flags.weight_decay, 0, 1);
  optimizer.max_grad_norm =
      parse_number("--max-grad-norm", flags.max_grad_norm, 0, kInfinity, true);
  optimizer.bias_correction = flags.bias_correction;
  return optimizer;
}

ThermalSettings thermal_settings(const TrainFlags& flags) {
  const auto degrees = [](const char* flag, const std::string& text) {
    return parse_number(flag, text, 0, 200);
  };
  ThermalSettings thermal;
  thermal.enabled = !flags.no_thermal;
  thermal.pause = degrees("--temp-pause", flags.temp_pause);
  thermal.stop = degrees("--temp-stop", flags.temp_stop);
  thermal.warm = thermal.resume = std::min(75.0, thermal.pause - 10);
  if (!flags.temp_warm.empty()) thermal.warm = degrees("--temp-warm", flags.temp_warm);
  if (!flags.temp_resume.empty()) thermal.resume = degrees("--temp-resume", flags.temp_resume);
  thermal.poll_seconds = parse_number("--temp-poll", flags.temp_poll, 0, 3600, true);
  if (thermal.stop <= thermal.pause)
    throw UsageError(fmt::format("--temp-stop: expected more than the {} of --temp-pause, got {}",
                                 thermal.pause, thermal.stop));
  if (thermal.resume >= thermal.pause)
    throw UsageError(fmt::format("--temp-resume: expected less than the {} of --temp-pause, got {}",
                                 thermal.pause, thermal.resume));
  if (thermal.warm > thermal.pause)
    throw UsageError(fmt::format("--temp-warm: expected at most the {} of --temp-pause, got {}",
                                 thermal.pause, thermal.warm));
  return thermal;
}

LoopSettings loop_settings(const TrainFlags& flags) {
  return {.optimizer = optimizer_settings(flags),
          .objective = data_options(flags).objective,
          .beta = parse_number("--beta", flags.beta, 0, kInfinity, true),
          .grad_accum_steps = parse_integer("--grad-accum-steps", flags.grad_accum_steps, 1, 65536),
          .save_every = parse_count("--save-every", flags.save_every),
          .eval_every = parse_count("--eval-every", flags.eval_every),
          .log_every = parse_count("--log-every", flags.log_every),
          .keep_last = parse_count("--keep-last", flags.keep_last),
          .patience = parse_count("--patience", flags.patience, 0),
          .thermal = thermal_settings(flags)};
}

std::string quantize_format(const TrainFlags& flags) {
  if (flags.quantize_bits.empty() && flags.quantize_group_size.empty()) return flags.model.quantize;
  if (!flags.quantize_bits.empty() && flags.quantize_bits != "4")
    throw UsageError(
        fmt::format("--quantize-bits: expected 4, got \"{}\"", printable(flags.quantize_bits)));
  if (!flags.quantize_group_size.empty() && flags.quantize_group_size != "64")
    throw UsageError(fmt::format("--quantize-group-size: expected 64, got \"{}\"",
                                 printable(flags.quantize_group_size)));
  return flags.model.quantize.empty() ? "mlx" : flags.model.quantize;
}

ModelRequest model_request(const TrainFlags& flags) {
  const std::string quantize = quantize_format(flags);
  if (!quantize.empty() && quantize != "nf4" && quantize != "mlx")
    throw UsageError(
        fmt::format("--quantize: expected nf4 or mlx, got \"{}\"", printable(quantize)));
  return {.model = flags.model.model,
          .tokenizer = flags.model.tokenizer,
          .preset = named_preset(flags.model),
          .quantize = quantize,
          .random_codes = !quantize.empty(),
          .model_argument = "--model-weights",
          .tokenizer_argument = "--tokenizer"};
}

// ---- settings that are not on the command line

/// "data" is a setting of a file, although DATA is not a flag.
void fill_data(TrainFlags& flags, Json& from, const std::string& file) {
  const auto found = from.find("data");
  if (found == from.end()) return;
  const Json data = found->is_string() ? Json::array({*found}) : *found;
  if (!data.is_array() ||
      !std::ranges::all_of(data, [](const Json& part) { return part.is_string(); }))
    throw UsageError(fmt::format("{}: data: expected a path or a list of paths, got {}", file,
                                 printable_json(data)));
  if (flags.data.empty()) flags.data = data.get<std::vector<std::string>>();
  from.erase("data");
}

void fill_from_file(TrainFlags& flags) {
  if (flags.config.empty()) return;
  const std::string name = "--config " + printable_path(flags.config);
  Json json = read_json_file(flags.config, kConfigLimits);
  if (!json.is_object())
    throw UsageError(fmt::format("{}: expected an object, got {}", name, printable_json(json)));
  fill_data(flags, json, name);
  flags.settings.fill(json, name);
}

/// A word behind --resume that is no folder is an argument of the command.
void take_back_data(TrainFlags& flags) {
  std::error_code error;
  if (flags.resume.empty() || fs::is_directory(flags.resume, error)) return;
  if (!fs::exists(flags.resume, error))
    throw UsageError(
        fmt::format("--resume: expected a folder with a checkpoint, or nothing, got "
                    "\"{}\"",
                    printable(flags.resume)));
  flags.data.insert(flags.data.begin(), std::exchange(flags.resume, {}));
}

/// The checkpoint to continue from. Its settings fill those that were not given.
std::optional<FoundCheckpoint> resumed_checkpoint(TrainFlags& flags) {
  const fs::path from = flags.resume.empty() ? flags.output : flags.resume;
  std::optional<FoundCheckpoint> found = find_checkpoint(from);
  if (!found && !flags.resume.empty())
    throw UsageError(fmt::format("--resume: expected a folder with a checkpoint, got \"{}\"",
                                 printable(flags.resume)));
  if (!found) return found;
  const std::string name = printable_path(found->folder.string());
  Json settings = found->checkpoint.state.settings;
  fill_data(flags, settings, name);
  flags.settings.fill(settings, name);
  return found;
}

/// The settings of an adapter that a run begins with fill those that were not given.
void fill_from_adapter(TrainFlags& flags) {
  if (flags.init_adapter.empty()) return;
  const TrainCheckpoint adapter = read_adapter_tensors(find_adapter(flags.init_adapter));
  if (!adapter.adapter) return;
  flags.settings.fill({{"lora-rank", adapter.adapter->rank},
                       {"lora-scale", adapter.adapter->scale},
                       {"no-dora", adapter.adapter->kind == AdapterKind::lora}},
                      printable_path(flags.init_adapter));
}

void fill_low_memory(TrainFlags& flags) {
  if (!flags.low_memory) return;
  for (const auto& [name, value] :
       {std::pair("batch-size", "1"), std::pair("max-seq-len", "256"),
        std::pair("grad-accum-steps", "8"), std::pair("lora-rank", "4")})
    flags.settings.fill(std::string_view(name), value);
}

}  // namespace

TrainRequest train_request(TrainFlags& flags) {
  TrainRequest request;
  request.resume = flags.is_resume.front().is_given();
  take_back_data(flags);
  fill_from_file(flags);
  if (request.resume && !flags.resume.empty() && !flags.settings.is_set("output-dir")) {
    // A run goes on in its own folder.
    fs::path folder(flags.resume);
    if (!folder.has_filename()) folder = folder.parent_path();
    const bool is_checkpoint = fs::exists(folder / kStateFile);
    flags.output = is_checkpoint ? (folder / "..").lexically_normal().string() : folder.string();
  }
  if (request.resume) request.checkpoint = resumed_checkpoint(flags);
  if (!request.checkpoint) fill_from_adapter(flags);
  fill_low_memory(flags);
  if (flags.data.empty()) throw UsageError("DATA: expected a file of examples, got none");
  if (!flags.val_data.empty() && !flags.val_split.empty())
    throw UsageError("expected one of --val-data and --val-split, got both");
  flags.device.check();

  request.model = model_request(flags);
  request.device = flags.device.device;
  request.open = flags.device.open_options();
  request.precision = flags.device.wanted_precision();
  request.data = flags.data;
  request.validation = flags.val_data;
  if (!flags.val_split.empty())
    request.validation_share = parse_number("--val-split", flags.val_split, 0, 0.9, true);
  request.eval_batches = parse_count("--eval-batches", flags.eval_batches, 0);
  request.data_options = data_options(flags);
  request.batches = batch_options(flags);
  request.adapter = adapter_settings(flags);
  request.orpo_penalty = parse_word(kPenaltyWords, "--orpo-penalty", flags.orpo_penalty);
  request.recompute = parse_word(kRecomputeWords, "--grad-checkpoint", flags.grad_checkpoint);
  request.seed = request.batches.seed;
  request.init_adapter = flags.init_adapter;
  request.loop = loop_settings(flags);
  request.has_max_steps = flags.settings.is_set("max-steps");
  request.output = flags.output;
  request.temperature_file = flags.temp_sensor;
  request.settings = flags.settings.values();
  if (!request.has_max_steps && request.batches.epochs) request.settings["max-steps"] = nullptr;
  request.settings["data"] = request.data;
  return request;
}

}  // namespace bitaxon::tool
