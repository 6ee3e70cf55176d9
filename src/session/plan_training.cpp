#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "bitaxon/error.h"
#include "core/backend.h"
#include "formats/json.h"
#include "model/base_hash.h"
#include "model/memory_need.h"
#include "platform/printable.h"
#include "platform/temperature.h"
#include "session/train_base.h"
#include "session/training.h"

namespace bitaxon {
namespace {

/// Settings that shape the numbers of a run from its beginning.
constexpr std::string_view kFixedSettings[] = {
    "objective", "lora-rank",  "lora-scale",  "no-dora",    "targets",     "layers",
    "seed",      "quantize",   "max-seq-len", "train-on",   "mask",        "unmapped",
    "packing",   "no-shuffle", "val-split",   "batch-size", "init-adapter"};

JinjaTemplate template_of(const FoundModel& found) {
  if (!found.source) return JinjaTemplate::chatml();
  const std::filesystem::path& folder = found.source->files.folder;
  if (std::optional<JinjaTemplate> own = JinjaTemplate::find(folder)) return *std::move(own);
  return JinjaTemplate::chatml().with_tokens_of(folder);
}

Json files_json(const Dataset& data) {
  Json files = Json::array();
  for (const DataFile& file : data.files())
    files.push_back({{"path", printable_path(file.path)},
                     {"bytes", file.bytes},
                     {"examples", file.n_examples},
                     {"hash", fmt::format("{:016x}", file.hash)}});
  return files;
}

/// What identifies the data and the base of a run.
Json identity_of(const TrainPlan& plan) {
  return {{"files", files_json(plan.training)},
          {"validation", plan.request.validation_share > 0 || !plan.validation
                             ? Json::array()
                             : files_json(*plan.validation)},
          {"base", base_hash(plan.base.spec, plan.base.checkpoint.get())}};
}

/// The hashes of the files that the data of a run name by `key`.
std::vector<std::string> hashes_of(const Json& data, const char* key) {
  std::vector<std::string> found;
  if (const auto files = data.find(key); files != data.end() && files->is_array())
    for (const Json& file : *files)
      if (file.is_object()) found.push_back(printable_json(file.value("hash", Json())));
  return found;
}

/// Refuses to continue with other examples or another base. Files may have moved.
void refuse_other_inputs(const RunState& state, const Json& now) {
  if (state.data.value("base", Json()) != now.value("base", Json()))
    throw Error(ErrorKind::invalid_argument,
                fmt::format("--model-weights: expected the model that the run began with ({}), got "
                            "another ({})",
                            printable_json(state.data.value("base", Json())),
                            printable_json(now.value("base", Json()))));
  if (hashes_of(state.data, "files") != hashes_of(now, "files"))
    throw Error(ErrorKind::invalid_argument,
                fmt::format("DATA: expected the examples that the run began with ({}), got others "
                            "({})",
                            printable_json(state.data.value("files", Json()), 200),
                            printable_json(now.value("files", Json()), 200)));
}

/// Checks that the place of a checkpoint is one of the examples.
void expect_place(const TrainPlan& plan, const FoundCheckpoint& found) {
  try {
    const Batches batches(plan.training, plan.request.batches, found.checkpoint.state.place);
  } catch (const Error& error) {
    const std::string file = printable_path((found.folder / kStateFile).string());
    throw Error(ErrorKind::format, fmt::format("{}: {}", file, error.what()));
  }
}

/// A loss on other validation data is no measure for the losses to come.
void forget_other_best(TrainPlan& plan) {
  constexpr const char* kKey = "validation";
  RunState& state = plan.request.checkpoint->checkpoint.state;
  if (!state.best || !plan.validation ||
      hashes_of(state.data, kKey) == hashes_of(plan.identity, kKey))
    return;
  plan.notes.push_back(fmt::format(
      "other validation data: the lowest loss so far ({:.4f} at step {}) does not count any more",
      state.best->loss, state.best->step));
  state.best.reset();
  state.evaluations_since_best = 0;
}

void compare_with_checkpoint(TrainPlan& plan) {
  if (!plan.request.checkpoint) {
    if (plan.request.resume)
      plan.notes.push_back(fmt::format("{}: no checkpoint yet: the run begins",
                                       printable_path(plan.request.output.string())));
    return;
  }
  const TrainCheckpoint& checkpoint = plan.request.checkpoint->checkpoint;
  for (const std::string& damaged : plan.request.checkpoint->damaged)
    plan.warnings.push_back(fmt::format("damaged checkpoint: {}", damaged));
  const std::string name = printable_path(plan.request.checkpoint->folder.string());
  plan.notes.push_back(fmt::format("resuming from {}", name));
  if (checkpoint.is_upstreams) {
    plan.notes.push_back(fmt::format("{} is of the original Bit-Axon: the data begin again", name));
    return;
  }
  refuse_other_inputs(checkpoint.state, plan.identity);
  const std::string changes =
      compare_settings(checkpoint.state.settings, plan.request.settings, kFixedSettings);
  if (!changes.empty()) plan.notes.push_back(changes);
  expect_place(plan, *plan.request.checkpoint);
  forget_other_best(plan);
}

/// The number of updates until the last epoch ends. Counting reads all examples, so a run of very many
/// epochs is counted for the first of them, and the rest is taken to be alike.
std::int64_t updates_of(const TrainPlan& plan, const TrainListener& listener) {
  constexpr double kMostCounted = 2e5;  // examples
  const std::uint64_t n_epochs = plan.request.batches.epochs.value();
  const auto all = static_cast<double>(n_epochs);
  BatchOptions options = plan.request.batches;
  const double most = std::max(kMostCounted / static_cast<double>(plan.training.size()), 1.0);
  if (all > most) options.epochs = static_cast<std::uint64_t>(most);
  const auto counted = static_cast<double>(*options.epochs);
  Batches batches(plan.training, options);
  double n_micro = 0;
  while (!batches.next().sequences.empty()) {
    ++n_micro;
    if (listener.on_share)
      listener.on_share("counting steps", static_cast<double>(batches.position().epoch) / counted);
    if (listener.interrupted) break;
  }
  constexpr double kMostUpdates = 0x1p40;
  const auto accumulation = static_cast<double>(plan.request.loop.grad_accum_steps);
  const double n_updates = std::ceil(n_micro * (all / counted) / accumulation);
  return static_cast<std::int64_t>(std::clamp(n_updates, 1.0, kMostUpdates));
}

void settle_steps(TrainPlan& plan, const TrainListener& listener) {
  OptimizerSettings& optimizer = plan.request.loop.optimizer;
  if (plan.request.batches.epochs && !plan.request.has_max_steps)
    optimizer.max_steps = updates_of(plan, listener);
  if (optimizer.warmup_steps > optimizer.max_steps)
    plan.warnings.push_back(fmt::format(
        "--warmup-steps: expected at most the {} steps of the run, got {}: the learning "
        "rate does not reach its peak",
        optimizer.max_steps, optimizer.warmup_steps));
}

/// Says that a named file tells no temperature. The run goes on, because the file may come later.
void check_sensor(TrainPlan& plan) {
  const std::filesystem::path& file = plan.request.temperature_file;
  if (file.empty() || !plan.request.loop.thermal.enabled || file_temperature(file)) return;
  plan.warnings.push_back(
      fmt::format("--temp-sensor: expected a file with degrees or thousandths, got \"{}\"",
                  printable_path(file.string())));
}

void settle_tuner(TrainPlan& plan) {
  const TrainRequest& request = plan.request;
  plan.tuner.precision = precision_for(plan.base.found, LoadOptions{.precision = request.precision},
                                       caps_of(*plan.device.backend).always_exact);
  plan.tuner.objective = request.data_options.objective;
  plan.tuner.beta = request.loop.beta;
  plan.tuner.orpo_penalty = request.orpo_penalty;
  plan.tuner.recompute = request.recompute;
  plan.tuner.adapter = request.adapter;
  plan.tuner.seed = request.seed;
  plan.tuner.max_tokens = request.data_options.max_seq_len;
}

/// Checks that an evaluation has something to measure: a loss over no targets would be 0, and so the
/// best.
void expect_targets(const Dataset& validation) {
  try {
    validation.survey();
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("validation data: {}", error.what()));
  }
}

/// Checks that the run can use its folder.
void check_folder(const TrainRequest& request) {
  if (!request.resume) refuse_checkpoints(request.output);
  if (request.checkpoint) refuse_newer_checkpoints(request.output, *request.checkpoint);
}

/// Opens the data and splits off what is validated with.
std::pair<Dataset, std::optional<Dataset>> open_data(const TrainRequest& request,
                                                     const Vocabulary& vocabulary,
                                                     const JinjaTemplate& chat) {
  Dataset all = Dataset::open(request.data, vocabulary, chat, request.data_options);
  if (!request.validation.empty())
    return {std::move(all),
            Dataset::open(std::vector{request.validation}, vocabulary, chat, request.data_options)};
  if (request.validation_share > 0) return all.split(request.validation_share, request.seed);
  return {std::move(all), std::nullopt};
}

}  // namespace

TrainPlan plan_training(TrainRequest request, TrainInputs inputs, const TrainListener& listener) {
  check_folder(request);
  const auto share = [&](double done) {
    if (listener.on_share) listener.on_share("reading examples", done);
  };
  DataSurvey survey = inputs.training.survey(share);
  if (inputs.validation) expect_targets(*inputs.validation);
  OpenedDevice device = open_device(request.device, request.open);
  if (!device.reason.empty()) inputs.notes.push_back(device_note(device));
  TrainPlan plan{.request = std::move(request),
                 .found = std::move(inputs.found),
                 .device = std::move(device),
                 .base = std::move(inputs.base),
                 .tuner = {},
                 .training = std::move(inputs.training),
                 .validation = std::move(inputs.validation),
                 .survey = std::move(survey),
                 .identity = {},
                 .notes = std::move(inputs.notes),
                 .warnings = std::move(inputs.warnings)};
  plan.identity = identity_of(plan);
  compare_with_checkpoint(plan);
  settle_steps(plan, listener);
  settle_tuner(plan);
  check_sensor(plan);
  return plan;
}

TrainPlan plan_training(TrainRequest request, const TrainListener& listener) {
  // What a user can get wrong with the folder is found before the examples are read.
  check_folder(request);
  FoundModel found = find_model(request.model);
  read_tokenizer(found);
  if (!found.source && found.request.tokenizer.empty())
    found.tokenizer = Tokenizer::bytes_and_chat(static_cast<std::int32_t>(found.preset.vocab_size));
  std::vector<std::string> notes, warnings;
  if (found.source && !found.source->note.empty()) notes.push_back(found.source->note);
  BaseModel base = training_base(found, warnings);
  // Examples are checked before the device is opened: most mistakes are in them.
  auto [training, validation] = open_data(request, open_vocabulary(found), template_of(found));
  return plan_training(std::move(request),
                       {.found = std::move(found),
                        .base = std::move(base),
                        .training = std::move(training),
                        .validation = std::move(validation),
                        .notes = std::move(notes),
                        .warnings = std::move(warnings)},
                       listener);
}

std::vector<MemoryLine> memory_of(const TrainPlan& plan) {
  return Tuner::memory_table(plan.base, *plan.device.backend->description(), plan.tuner);
}

}  // namespace bitaxon
