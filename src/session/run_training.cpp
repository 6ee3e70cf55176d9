#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "bitaxon/error.h"
#include "formats/safetensors.h"
#include "model/adapter_file.h"
#include "model/adapter_set.h"
#include "model/weights.h"
#include "platform/counted_memory.h"
#include "platform/host_memory.h"
#include "platform/printable.h"
#include "platform/temperature.h"
#include "session/device_temperature.h"
#include "session/training.h"
#include "training/run/metrics_file.h"

namespace bitaxon {
namespace {

TrainingTarget target_of(Tuner& tuner) {
  return {.parameters = tuner.parameters(),
          .update = [&tuner](auto sequences, const auto& optimizer,
                             const auto& part) { return tuner.update(sequences, optimizer, part); },
          .evaluate = [&tuner](auto sequences,
                               const auto& part) { return tuner.evaluate(sequences, part); },
          .read = [&tuner](ParameterVector vector) { return tuner.read(vector); },
          .write = [&tuner](ParameterVector vector,
                            std::span<const float> values) { tuner.write(vector, values); },
          .n_updates = [&tuner] { return tuner.n_updates(); },
          .set_n_updates = [&tuner](std::int64_t n) { tuner.set_n_updates(n); }};
}

/// The examples that an evaluation reads: always the same, in the order of the file.
std::function<MicroBatch()> validation_of(const TrainPlan& plan) {
  BatchOptions options = plan.request.batches;
  options.shuffle = false;
  options.epochs = 1;
  const std::int64_t most = plan.request.eval_batches;
  return [batches = std::make_shared<Batches>(*plan.validation, options), most,
          n = std::int64_t{0}]() mutable {
    return most > 0 && n++ >= most ? MicroBatch() : batches->next();
  };
}

TrainingData data_of(const TrainPlan& plan, Batches& batches) {
  TrainingData data{
      .next = [&batches] { return batches.next(); },
      .position = [&batches] { return batches.position(); },
      .place_of = [&plan](std::size_t example) { return plan.training.place_of(example); },
      .validation = {}};
  if (plan.validation) data.validation = [&plan] { return validation_of(plan); };
  return data;
}

AdapterMetadata metadata_of(const TrainPlan& plan) {
  const AdapterSettings& adapter = plan.request.adapter;
  return {.kind = adapter.kind,
          .rank = adapter.rank,
          .scale = adapter.scale,
          .dropout = adapter.dropout,
          .targets = fmt::format("{}", fmt::join(adapter.targets, ",")),
          .last_blocks = adapter.last_blocks,
          .base = plan.identity.value("base", ""),
          .objective = plan.tuner.objective == Objective::orpo ? "orpo" : "sft"};
}

ThermalControl::Sensor sensor_of(const TrainPlan& plan) {
  const std::filesystem::path file = plan.request.temperature_file;
  if (!file.empty()) return [file] { return file_temperature(file); };
  return [caps = caps_of(*plan.device.backend)] { return temperature_of(caps); };
}

RunWorld world_of(const TrainPlan& plan, const TrainListener& listener) {
  const bool is_cpu = caps_of(*plan.device.backend).n_threads > 0;
  return {.sensor = sensor_of(plan),
          .time = {[] {
                     const auto now = std::chrono::steady_clock::now().time_since_epoch();
                     return std::chrono::duration<double>(now).count();
                   },
                   [](double seconds) {
                     std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
                   }},
          .memory_bytes = is_cpu ? resident_bytes : [] { return backend_bytes(); },
          .interrupted = listener.interrupted,
          .progress = listener.progress,
          .note = listener.note,
          .before_update = listener.before_update,
          .on_metrics = listener.on_metrics};
}

/// Gives the model the adapter that a new run begins with. Kind, rank and scale must be the run's.
void begin_with_adapter(const TrainPlan& plan, const TrainingTarget& target,
                        const TrainListener& listener) {
  const std::filesystem::path file = find_adapter(plan.request.init_adapter);
  const TrainCheckpoint adapter = read_adapter_tensors(file);
  const std::string name = printable_path(file.string());
  if (adapter.adapter && adapter.adapter->scale != plan.request.adapter.scale)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("--lora-scale: expected {}, the scale of {}, got {}",
                            adapter.adapter->scale, name, plan.request.adapter.scale));
  restore(adapter, name, target);
  if (!adapter.adapter) return;
  const std::string warning = other_base(*adapter.adapter, name, plan.identity.value("base", ""));
  if (!warning.empty()) listener.note("warning: " + warning);
}

/// Gives the model what the run begins with, and returns the state of the run.
RunState begin(const TrainPlan& plan, const TrainingTarget& target, const TrainListener& listener) {
  RunState state;
  if (plan.request.checkpoint) {
    const FoundCheckpoint& found = *plan.request.checkpoint;
    restore(found.checkpoint, printable_path(found.folder.string()), target);
    state = found.checkpoint.state;
  } else if (!plan.request.init_adapter.empty()) {
    begin_with_adapter(plan, target, listener);
  }
  state.data = plan.identity;
  state.settings = plan.request.settings;
  return state;
}

Tuner load_tuner(TrainPlan& plan, const TrainListener& listener) {
  plan.tuner.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    if (listener.on_share && total > 0)
      listener.on_share("loading", static_cast<double>(done) / static_cast<double>(total));
  };
  return {plan.base, plan.device.backend, plan.tuner};
}

std::string count_text(double count) {
  if (count >= 1e9) return fmt::format("{:.2f} B", count / 1e9);
  if (count >= 1e6) return fmt::format("{:.1f} M", count / 1e6);
  if (count >= 1e4) return fmt::format("{:.0f} k", count / 1e3);
  return fmt::format("{:.0f}", count);
}

}  // namespace

std::string start_line(const TrainPlan& plan, const Tuner& tuner,
                       std::optional<std::uint64_t> available_bytes) {
  std::int64_t n_trained = 0, n_layers = 0;
  for (const ParameterRange& range : tuner.parameters()) {
    n_trained += range.shape.elements();
    n_layers += range.name.ends_with(".lora_a") ? 1 : 0;
  }
  std::uint64_t bytes = 0;
  for (const MemoryLine& line : memory_of(plan)) bytes += line.bytes;
  const auto n_base = static_cast<double>(tuner.n_base_parameters());
  const AdapterSettings& adapter = plan.request.adapter;
  const DataSurvey& survey = plan.survey;
  return fmt::format(
      "train: {} of {} parameters ({:.2f} %) in {} layers, {} rank {} scale {}; {} examples, {} "
      "tokens, {} targets; {}{}",
      count_text(static_cast<double>(n_trained)), count_text(n_base),
      100 * static_cast<double>(n_trained) / n_base, n_layers,
      adapter.kind == AdapterKind::dora ? "DoRA" : "LoRA", adapter.rank, adapter.scale,
      survey.n_usable, count_text(static_cast<double>(survey.n_tokens)),
      count_text(static_cast<double>(survey.n_targets)), bytes_text(bytes),
      available_bytes ? fmt::format(" of {}", bytes_text(*available_bytes)) : "");
}

std::string layers_line(const TrainPlan& plan) {
  const AdapterSet adapter = adapter_set(plan.base.spec, plan.request.adapter, plan.request.seed);
  std::set<std::string_view> adapted_parts;
  for (const FoundWeight& weight : plan.base.found)
    if (adapter.find(weight.slot.key) != nullptr) adapted_parts.insert(part_of(weight.slot.key.id));
  // The same layers of all blocks have one name: "in_proj". A part without an adapted layer is named
  // as a whole: "experts".
  std::vector<std::string> adapted, frozen;
  for (const FoundWeight& weight : plan.base.found) {
    const WeightSlot& slot = weight.slot;
    if (slot.role != WeightRole::matrix && slot.role != WeightRole::experts) continue;
    std::string name = slot.name().substr(0, slot.name().rfind(".weight"));
    name = name.substr(name.rfind('.') + 1);
    const std::string_view part = part_of(slot.key.id);
    if (!adapted_parts.contains(part)) name = part;
    std::vector<std::string>& names = adapter.find(slot.key) != nullptr ? adapted : frozen;
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return fmt::format("adapted: {}; frozen: {}", fmt::join(adapted, ", "), fmt::join(frozen, ", "));
}

RunResult run_plan(TrainPlan& plan, const TrainListener& listener) {
  RunFolder folder(plan.request.output);
  const std::vector<MemoryKind> memory = plan.device.backend->description()->memory();
  Tuner tuner = load_tuner(plan, listener);
  const TrainingTarget target = target_of(tuner);
  RunState state = begin(plan, target, listener);
  listener.progress(start_line(plan, tuner, memory.front().available_bytes));
  listener.progress(layers_line(plan));
  cut_metrics(folder.metrics_file(), state.step, state.place.micro_batch);
  Batches batches(plan.training, plan.request.batches, state.place);
  const TrainingData data = data_of(plan, batches);
  return run_training(plan.request.loop, target, data, folder, metadata_of(plan), std::move(state),
                      world_of(plan, listener));
}

std::optional<LossSum> evaluate_plan(TrainPlan& plan, const TrainListener& listener) {
  struct Interrupted {};
  Tuner tuner = load_tuner(plan, listener);
  begin(plan, target_of(tuner), listener);
  const std::function<MicroBatch()> next = validation_of(plan);
  LossSum sum;
  try {
    for (MicroBatch batch = next(); !batch.sequences.empty(); batch = next()) {
      const LossSum part = tuner.evaluate(batch.sequences, [&] {
        if (listener.interrupted) throw Interrupted();
      });
      sum.loss += part.loss;
      sum.n_targets += part.n_targets;
    }
  } catch (const Interrupted&) {
    return std::nullopt;
  }
  return sum;
}

}  // namespace bitaxon
