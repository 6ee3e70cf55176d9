// The flags of the command pipeline.
#pragma once

#include <string>

#include "options.h"
#include "train/setting_table.h"

namespace bitaxon::tool {

/// The flags that name the examples of one training stage.
struct DataFlags {
  std::string data, split = "train", limit;
};

/// The flags as typed. Their defaults are the defaults of the command.
struct PipelineFlags {
  explicit PipelineFlags(Command& command) : settings(command) {}

  ModelOptions model;
  DeviceOptions device;
  OutputOptions say;
  std::string output = "pipeline_output", repository;
  std::string max_steps = "100", orpo_steps = "50", max_seq_len = "32", lora_rank = "8";
  std::string batch_size = "1", learning_rate = "1e-4", seed = "42";
  DataFlags sft, orpo;
  std::string text, prompt = "In the beginning";
  bool no_thermal = false, dry_run = false, json = false;

  /// The flags that the results depend on. A folder keeps them, so that a rerun has them too.
  SettingTable settings;
};

void add_pipeline_flags(Command& command, PipelineFlags& flags);

/// Throws UsageError that names the flag for a value that no stage could take.
void check_pipeline_flags(const PipelineFlags& flags);

}  // namespace bitaxon::tool
