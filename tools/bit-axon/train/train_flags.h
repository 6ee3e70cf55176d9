// The flags of the command train.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "options.h"
#include "session/training.h"
#include "train/setting_table.h"

namespace bitaxon::tool {

/// With a larger learning rate, one update could leave the range of float32.
inline constexpr double kMostLearningRate = 1000;

/// The flags as typed. Their defaults are the defaults of the command.
struct TrainFlags {
  explicit TrainFlags(Command& command) : settings(command) {}

  std::vector<std::string> data;
  ModelOptions model{.flag = "--model-weights"};
  DeviceOptions device;
  OutputOptions say;
  std::string output = "checkpoints", resume, config;
  bool dry_run = false, json = false;

  std::string val_data, val_split, eval_batches = "0";
  std::string objective = "sft", beta = "0.1", orpo_penalty = "inside";
  std::string max_seq_len = "2048", train_on = "assistant", mask = "content", unmapped = "error";
  std::string packing = "isolated", batch_size = "1", grad_accum_steps = "4", epochs;
  std::string rank = "8", dropout = "0", scale = "20", targets, layers, init_adapter;
  std::string learning_rate = "1e-4", min_lr = "0", schedule = "cosine", warmup_steps = "100";
  std::string max_steps = "10000", weight_decay = "0.01", max_grad_norm = "1", seed = "42";
  std::string save_every = "500", eval_every = "500", log_every = "10", keep_last = "3";
  std::string patience = "0", quantize_bits, quantize_group_size, grad_checkpoint = "block";
  std::string temp_warm, temp_pause = "85", temp_stop = "95", temp_resume, temp_poll = "1";
  std::string temp_sensor;
  bool no_dora = false, bias_correction = false, no_shuffle = false, no_thermal = false;
  bool low_memory = false;

  SettingTable settings;
  std::vector<Flag> is_resume;  ///< the flag --resume
};

/// Adds all flags to the command.
void add_train_flags(Command& command, TrainFlags& flags);

/// Completes the flags from the file of --config and from the checkpoint that --resume names, and
/// turns them into a request. Throws UsageError that names the flag, and what find_checkpoint()
/// throws.
TrainRequest train_request(TrainFlags& flags);

}  // namespace bitaxon::tool
