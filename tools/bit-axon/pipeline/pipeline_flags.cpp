#include "pipeline/pipeline_flags.h"

#include <fmt/format.h>

#include "console.h"
#include "hub_cache/hub_names.h"
#include "platform/printable.h"
#include "train/train_flags.h"

namespace bitaxon::tool {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 40;

void add_model_flags(PipelineFlags& flags) {
  SettingTable& table = flags.settings;
  table
      .add("-m,--model", flags.model.model,
           "Train this model: a directory, a safetensors file, or a hub id in the hub cache "
           "(default: a new model of random weights)")
      .type("PATH|REPO")
      .not_empty();
  table
      .add("-t,--tokenizer", flags.model.tokenizer,
           "A tokenizer file, its folder, or a hub id in the hub cache (default: the model's; of a "
           "new model, one token for each byte)")
      .type("PATH|REPO")
      .not_empty();
  const Flag small = table.add("--config-small", flags.model.config_small,
                               "A new model in the shape of the small preset, the default");
  table
      .add("--config-medium", flags.model.config_medium,
           "A new model in the shape of the medium preset")
      .excludes(small);
}

void add_data_flags(PipelineFlags& flags, const char* stage, DataFlags& data,
                    const std::string& names) {
  SettingTable& table = flags.settings;
  const std::string prefix = fmt::format("--{}-", stage);
  table
      .add(prefix + "data", data.data,
           fmt::format("Examples: {}, a file, or a data set in the hub cache (default: random "
                       "letters, to try the stages)",
                       names))
      .type("NAME|FILE|REPO")
      .not_empty();
  table.add(prefix + "split", data.split, "The split of a data set of the hub")
      .show_default()
      .not_empty();
  table.add(prefix + "limit", data.limit, "The most rows to read").type("N").not_empty();
}

void add_training_flags(PipelineFlags& flags) {
  SettingTable& table = flags.settings;
  table.add("--max-steps", flags.max_steps, "Updates of the SFT stage").type("N").show_default();
  table.add("--orpo-steps", flags.orpo_steps, "Updates of the ORPO stage").type("N").show_default();
  table.add("--max-seq-len", flags.max_seq_len, "Tokens of a row; longer examples are cut")
      .type("N")
      .show_default();
  table.add("--lora-rank", flags.lora_rank, "Rank of the adapters").type("N").show_default();
  table.add("--batch-size", flags.batch_size, "Rows of an update; ORPO: pairs")
      .type("N")
      .show_default();
  table.add("--learning-rate", flags.learning_rate, "Peak of the learning rate, also -lr")
      .show_default();
  table.add("--seed", flags.seed, "Seed of everything random").type("N").show_default();
}

}  // namespace

void add_pipeline_flags(Command& command, PipelineFlags& flags) {
  command
      .add("-o,--output-dir", flags.output,
           "Folder of all models, adapters and results. A folder of an earlier pipeline continues")
      .type("DIR")
      .not_empty()
      .show_default();
  add_model_flags(flags);
  add_data_flags(flags, "sft", flags.sft, "ultrachat, alpaca, openorca");
  add_data_flags(flags, "orpo", flags.orpo, "ultrafeedback, hh-rlhf");
  add_training_flags(flags);
  flags.settings
      .add("--text", flags.text, "The text to evaluate with, in UTF-8 (default: the bundled one)")
      .type("FILE")
      .not_empty();
  flags.settings.add("--prompt", flags.prompt, "What the model continues in the generation stage")
      .type("TEXT")
      .not_empty()
      .show_default();
  command.add("-r,--repo-id", flags.repository, "Upload the final model to this repository")
      .type("OWNER/NAME")
      .not_empty();
  add_device_options(command, flags.device);
  command.add("--no-thermal", flags.no_thermal, "Do not watch the temperature");
  command.add("--dry-run", flags.dry_run, "Print the commands of the stages, and end");
  command.add("--json", flags.json, "Print the results as one JSON object");
  add_output_options(command, flags.say);
  command.spell("-lr", "--learning-rate");
}

void check_pipeline_flags(const PipelineFlags& flags) {
  parse_integer("--max-steps", flags.max_steps, 1, kMost);
  parse_integer("--orpo-steps", flags.orpo_steps, 1, kMost);
  parse_integer("--max-seq-len", flags.max_seq_len, 2, INT32_MAX);
  parse_integer("--lora-rank", flags.lora_rank, 1, std::int64_t{1} << 20);
  parse_integer("--batch-size", flags.batch_size, 1, 4096);
  parse_number("--learning-rate", flags.learning_rate, 0, kMostLearningRate, true);
  parse_seed("--seed", flags.seed);
  if (!flags.sft.limit.empty()) parse_integer("--sft-limit", flags.sft.limit, 1, INT64_MAX);
  if (!flags.orpo.limit.empty()) parse_integer("--orpo-limit", flags.orpo.limit, 1, INT64_MAX);
  flags.device.check();
  if (!flags.repository.empty() && !hub::is_repository(flags.repository))
    throw UsageError(
        fmt::format("--repo-id: expected owner/name, got \"{}\"", printable(flags.repository)));
}

}  // namespace bitaxon::tool
