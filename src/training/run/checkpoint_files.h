// The files of a checkpoint of training.
//
//   adapters.safetensors         the adapter; adapter_config.json beside it is for mlx-lm
//   optimizer_state.safetensors  step U64 [] (updates done), learning_rate F32 [] (of the latest
//                                update), NAME.m and NAME.v: both moments of each tensor NAME
//   training_state.json          see run_state.h
//
// Upstream's checkpoints have the same files, except for adapter_config.json. Names in those of its
// preference training begin with "inner.".
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/adapter_metadata.h"
#include "training/run/run_state.h"
#include "training/run/target.h"

namespace bitaxon {

inline constexpr const char* kAdapterFile = "adapters.safetensors";
inline constexpr const char* kAdapterConfigFile = "adapter_config.json";
inline constexpr const char* kOptimizerFile = "optimizer_state.safetensors";
inline constexpr const char* kStateFile = "training_state.json";

/// A trained tensor and its moments. The moments are empty if only an adapter was read.
struct TrainedTensor {
  Shape shape;
  std::vector<float> values, first_moments, second_moments;
};

/// What a checkpoint holds. The keys of `tensors` are names such as "layer_3.ssm.in_proj.lora_a".
struct TrainCheckpoint {
  std::map<std::string, TrainedTensor> tensors;
  std::optional<AdapterMetadata> adapter;  ///< empty in upstream's checkpoints
  RunState state;
  bool is_upstreams = false;
};

/// Reads and checks the files of a checkpoint. Throws Error(io, format, unsupported) that names the
/// file: for a missing or damaged file, for tensors that do not belong together, for numbers that are
/// not finite, and for files of different updates.
TrainCheckpoint read_checkpoint(const std::filesystem::path& folder);

/// The tensors of an adapter alone. Throws as read_checkpoint does.
TrainCheckpoint read_adapter_tensors(const std::filesystem::path& file);
/// Adds the moments and the step to a checkpoint whose adapter was read.
void read_optimizer(const std::filesystem::path& file, TrainCheckpoint& checkpoint);

/// Gives the tensors of a checkpoint to the model. Without moments, only the values. Throws
/// Error(format) that names the first tensor which one of both does not have or has in another shape.
/// `name` begins messages.
void restore(const TrainCheckpoint& checkpoint, std::string_view name,
             const TrainingTarget& target);

/// Called between two writes. Tests stop the process there.
using BetweenWrites = std::function<void()>;

/// Writes the tensors of a checkpoint of `target` into an existing folder: the adapter and the
/// optimizer's state. Throws Error(io).
void write_tensors(const std::filesystem::path& folder, const TrainingTarget& target,
                   const AdapterMetadata& adapter, double learning_rate,
                   const BetweenWrites& between_writes = {});
/// Writes the files of a checkpoint of `target` into an existing folder. Throws Error(io).
void write_checkpoint(const std::filesystem::path& folder, const TrainingTarget& target,
                      const AdapterMetadata& adapter, const RunState& state,
                      const BetweenWrites& between_writes = {});
/// Writes the adapter of `target`, and adapter_config.json beside it.
void write_adapter(const std::filesystem::path& file, const TrainingTarget& target,
                   const AdapterMetadata& adapter, const BetweenWrites& between_writes = {});

}  // namespace bitaxon
