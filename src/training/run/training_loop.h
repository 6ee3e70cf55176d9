// The loop of a training run: updates, evaluations, checkpoints and the lines that tell of them.
//
// A step is an update. The state of a run changes only with a whole update or evaluation, so that a
// run which was stopped anywhere continues with the same numbers.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "bitaxon/train.h"
#include "model/adapter_metadata.h"
#include "training/data/batches.h"
#include "training/run/checkpoint_files.h"
#include "training/run/run_folder.h"
#include "training/run/run_state.h"
#include "training/run/target.h"
#include "training/run/thermal_control.h"

namespace bitaxon {

struct LoopSettings {
  OptimizerSettings optimizer;
  Objective objective = Objective::sft;
  double beta = 0.1;                  ///< of ORPO; only for the rewards in metrics.jsonl
  std::int64_t grad_accum_steps = 4;  ///< micro-batches of an update
  std::int64_t save_every = 500, eval_every = 500, log_every = 10;  ///< in updates
  std::int64_t keep_last = 3;                                       ///< checkpoints
  /// The run ends after so many evaluations without a lower loss. 0: it does not end so.
  std::int64_t patience = 0;
  ThermalSettings thermal;
};

/// The data of a run. Batches has these functions.
struct TrainingData {
  std::function<MicroBatch()> next;
  std::function<DataPosition()> position;
  /// File and line of an example.
  std::function<std::string(std::size_t example)> place_of;
  /// Begins the validation data. The returned function gives one micro-batch after another, and one
  /// without sequences at the end. Empty if there is no validation data.
  std::function<std::function<MicroBatch()>()> validation;
};

/// What a run sees of the world, and whom it tells. Tests replace the world.
struct RunWorld {
  ThermalControl::Sensor sensor;
  ThermalControl::Time time;
  std::function<std::uint64_t()> memory_bytes;
  const std::atomic<bool>& interrupted;
  std::function<void(std::string_view line)> progress;  ///< lines on steps and evaluations
  std::function<void(std::string_view line)> note;      ///< lines on what is unusual
  BetweenWrites between_writes = {};
  /// Called before each update with the number of updates so far. May set what `interrupted` reads.
  std::function<void(std::int64_t step)> before_update = {};
  /// Called with each line of metrics.jsonl.
  std::function<void(const Json& line)> on_metrics = {};
};

/// Why a run ended.
enum class RunEnd : std::uint8_t {
  finished,     ///< all steps are done, or all epochs
  patience,     ///< the loss on the validation data has stopped falling
  interrupted,  ///< the user has asked for it
  too_hot,
  not_finite,  ///< several updates in a row were not finite
};

struct RunResult {
  RunEnd end = RunEnd::finished;
  RunState state;
  double temperature = 0;         ///< for too_hot
  std::filesystem::path adapter;  ///< the file of the final adapter
};

/// Runs until the last step, or until something ends the run. `state` is the state of `target` and
/// `data`: a new one, or the state of a checkpoint that was restored. Saves a checkpoint and the
/// final adapter, however the run ends. Throws Error(io) if a file cannot be written; the checkpoints
/// that exist stay. Throws what the functions of `target` and `data` throw.
RunResult run_training(const LoopSettings& settings, const TrainingTarget& target,
                       const TrainingData& data, RunFolder& folder, const AdapterMetadata& adapter,
                       RunState state, const RunWorld& world);

}  // namespace bitaxon
