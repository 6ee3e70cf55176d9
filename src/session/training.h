// A training run from its request: model, data, device, and the run in its folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/session.h"
#include "bitaxon/train.h"
#include "training/base_model.h"
#include "training/data/batches.h"
#include "training/data/dataset.h"
#include "training/run/resume.h"
#include "training/run/training_loop.h"
#include "training/tuner.h"

namespace bitaxon {

/// Everything that a run depends on.
struct TrainRequest {
  ModelRequest model;
  std::string device = "auto";
  OpenOptions open;
  std::optional<Precision> precision = {};  ///< empty: as for inference

  std::vector<std::string> data;  ///< files of examples
  std::string validation = {};    ///< a file of examples to validate with; empty for none
  double validation_share = 0;    ///< of `data`, if there is no such file
  std::int64_t eval_batches = 0;  ///< micro-batches of an evaluation; 0 for all
  DataOptions data_options;
  BatchOptions batches;

  AdapterSettings adapter;
  OrpoPenalty orpo_penalty = OrpoPenalty::inside;
  bool recompute = true;  ///< as in TunerOptions
  std::uint64_t seed = 42;
  std::filesystem::path init_adapter = {};  ///< an adapter to begin with; empty for a random one

  LoopSettings loop;
  /// Without a number of steps, the learning rate falls until the last epoch ends.
  bool has_max_steps = true;

  std::filesystem::path output = "checkpoints";
  bool resume = false;  ///< continue from `checkpoint`, or begin if there is none
  std::optional<FoundCheckpoint> checkpoint = {};
  std::filesystem::path temperature_file = {};  ///< a file in place of the sensor

  /// The settings by the names of their flags, which checkpoints keep.
  Json settings = Json::object();
};

/// Whom a run tells, and who may end it.
struct TrainListener {
  std::function<void(std::string_view line)> progress;
  std::function<void(std::string_view line)> note;
  std::function<void(std::string_view what, double share)> on_share = {};  ///< of long preparations
  const std::atomic<bool>& interrupted;
  std::function<void(std::int64_t step)> before_update = {};  ///< as in RunWorld
  std::function<void(const Json& line)> on_metrics = {};      ///< as in RunWorld
};

/// A run whose model and data were found and checked, before anything large is loaded.
struct TrainPlan {
  TrainRequest request;
  FoundModel found;
  OpenedDevice device;
  BaseModel base;
  TunerOptions tuner;
  Dataset training;
  std::optional<Dataset> validation;
  DataSurvey survey;  ///< of `training`
  Json identity;      ///< identifies examples and base, for checkpoints
  std::vector<std::string> notes, warnings;
};

/// Finds model and tokenizer, reads and checks all examples, and opens the device. Throws Error that
/// names what cannot be used, and Error(invalid_argument) that begins with "--FLAG: " for a setting
/// that does not fit the checkpoint.
TrainPlan plan_training(TrainRequest request, const TrainListener& listener);

/// The model and the examples of a run that a caller has found.
struct TrainInputs {
  FoundModel found;
  BaseModel base;
  Dataset training;
  std::optional<Dataset> validation = {};
  std::vector<std::string> notes = {}, warnings = {};
};

/// The same for a model and examples that were found already: TrainRequest::model, data and
/// validation do not count.
TrainPlan plan_training(TrainRequest request, TrainInputs inputs, const TrainListener& listener);

/// The memory that the run takes on its device, by purpose.
std::vector<MemoryLine> memory_of(const TrainPlan& plan);

/// One line on what is trained, with which examples, in how much memory. `available_bytes`: the
/// memory of the device before the model was loaded.
std::string start_line(const TrainPlan& plan, const Tuner& tuner,
                       std::optional<std::uint64_t> available_bytes);
/// One line with the names of the layers that are adapted, and of the matrices that are frozen.
std::string layers_line(const TrainPlan& plan);

/// Loads the model and runs. Throws as run_training() does, and OutOfMemory.
RunResult run_plan(TrainPlan& plan, const TrainListener& listener);

/// Loads the model with the adapter that the plan begins with, and evaluates it on
/// TrainPlan::validation. Nothing is written. Empty if the call was interrupted.
std::optional<LossSum> evaluate_plan(TrainPlan& plan, const TrainListener& listener);

}  // namespace bitaxon
