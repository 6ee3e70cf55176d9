#include "train/train_flags.h"

namespace bitaxon::tool {
namespace {

void add_data_flags(TrainFlags& flags) {
  SettingTable& table = flags.settings;
  table.add("--val-data", flags.val_data, "Examples to validate with").type("FILE").not_empty();
  table.add("--val-split", flags.val_split, "Share of the examples to validate with, such as 0.05")
      .type("SHARE")
      .not_empty();
  table
      .add("--max-seq-len", flags.max_seq_len,
           "Tokens of a row; longer examples are cut. For the default model twice as many take "
           "about 0.5 GB more")
      .type("N")
      .show_default();
  table
      .add("--train-on", flags.train_on,
           "Targets: assistant (what it says), last (only its last turn) or all")
      .show_default();
  table
      .add("--mask", flags.mask,
           "content (what the assistant says, with the token that ends it), or like-original (its "
           "whole turn, as the original Bit-Axon)")
      .show_default();
  table
      .add("--unmapped", flags.unmapped,
           "Examples with tokens that the model does not have: error, or skip")
      .show_default();
  table
      .add("--packing", flags.packing,
           "How examples share rows: isolated (they do not see each other), concat, or none")
      .show_default();
  table.add("--no-shuffle", flags.no_shuffle, "Keep the order of the files in every epoch");
  table.add("--batch-size", flags.batch_size, "Rows of a micro-batch; ORPO: pairs")
      .type("N")
      .show_default();
  table.add("--grad-accum-steps", flags.grad_accum_steps, "Micro-batches of an update")
      .type("N")
      .show_default();
  table.add("--epochs", flags.epochs, "End after so many passes over the examples")
      .type("N")
      .not_empty();
}

void add_adapter_flags(TrainFlags& flags) {
  SettingTable& table = flags.settings;
  table.add("--lora-rank", flags.rank, "Rank of the adapter").type("N").show_default();
  table.add("--lora-dropout", flags.dropout, "Share of the adapter's inputs that are dropped")
      .show_default();
  table.add("--lora-scale", flags.scale, "Factor of the adapter's product").show_default();
  table.add("--no-dora", flags.no_dora, "Train LoRA, without the lengths of DoRA");
  table
      .add("--targets", flags.targets,
           "Names of the layers to adapt, such as q_proj,v_proj (default: all that the family "
           "adapts)")
      .type("NAMES")
      .not_empty();
  table.add("--layers", flags.layers, "Adapt only the last N blocks").type("N").not_empty();
  table.add("--init-adapter", flags.init_adapter, "Begin with this adapter")
      .type("PATH")
      .not_empty();
}

void add_objective_flags(TrainFlags& flags) {
  SettingTable& table = flags.settings;
  table.add("--objective", flags.objective, "sft (answers), or orpo (pairs of answers)")
      .show_default();
  table.add("--beta", flags.beta, "ORPO: weight of the preference").show_default();
  table
      .add("--orpo-penalty", flags.orpo_penalty,
           "Where beta stands: inside the sigmoid, as Bit-Axon documents, or outside, as in the "
           "paper and in TRL")
      .show_default();
}

void add_optimizer_flags(TrainFlags& flags) {
  SettingTable& table = flags.settings;
  table
      .add("--learning-rate", flags.learning_rate,
           "Peak of the learning rate, also -lr. With --lora-scale 20, 1e-3 diverges")
      .show_default();
  table.add("--min-lr", flags.min_lr, "The learning rate at the end").show_default();
  table.add("--schedule", flags.schedule, "cosine, linear or constant").show_default();
  table.add("--warmup-steps", flags.warmup_steps, "Updates until the peak")
      .type("N")
      .show_default();
  table
      .add("--max-steps", flags.max_steps,
           "Updates of the run. A step is an update everywhere (default with --epochs: all)")
      .type("N")
      .show_default();
  table.add("--weight-decay", flags.weight_decay, "Of AdamW").show_default();
  table.add("--bias-correction", flags.bias_correction,
            "AdamW as in PyTorch; without it, early updates are up to 6 times larger");
  table.add("--max-grad-norm", flags.max_grad_norm, "Larger gradients are scaled down to this norm")
      .show_default();
  table.add("--seed", flags.seed, "Of the adapter, of dropout and of the order").show_default();
}

void add_run_flags(TrainFlags& flags) {
  SettingTable& table = flags.settings;
  table.add("--save-every", flags.save_every, "Updates between checkpoints")
      .type("N")
      .show_default();
  table.add("--keep-last", flags.keep_last, "Checkpoints to keep").type("N").show_default();
  table.add("--eval-every", flags.eval_every, "Updates between evaluations")
      .type("N")
      .show_default();
  table.add("--eval-batches", flags.eval_batches, "Micro-batches of an evaluation, 0 for all")
      .type("N")
      .show_default();
  table
      .add("--patience", flags.patience,
           "End after so many evaluations without a lower loss, 0 for never")
      .type("N")
      .show_default();
  table.add("--log-every", flags.log_every, "Updates between lines on the progress")
      .type("N")
      .show_default();
  table.add("--low-memory", flags.low_memory,
            "Defaults for a small machine: batch 1, 256 tokens, accumulation 8, rank 4");
  table
      .add("--grad-checkpoint", flags.grad_checkpoint,
           "block: compute activations again, which saves memory; off: keep them, which saves time")
      .show_default();
  table
      .add("--quantize-bits", flags.quantize_bits,
           "Quantize matrices while loading, as --quantize mlx: 4")
      .type("N")
      .not_empty();
  table.add("--quantize-group-size", flags.quantize_group_size, "Codes that share a scale: 64")
      .type("N")
      .not_empty();
}

void add_thermal_flags(TrainFlags& flags) {
  SettingTable& table = flags.settings;
  table.add("--no-thermal", flags.no_thermal, "Do not watch the temperature");
  table
      .add(
          "--temp-warm", flags.temp_warm,
          "Work less from here on, in degrees Celsius (default: 10 below --temp-pause, at most 75)")
      .type("C")
      .not_empty();
  table.add("--temp-pause", flags.temp_pause, "Wait from here on").type("C").show_default();
  table
      .add("--temp-resume", flags.temp_resume,
           "Go on here after a wait (default: 10 below --temp-pause, at most 75)")
      .type("C")
      .not_empty();
  table.add("--temp-stop", flags.temp_stop, "Save and end from here on").type("C").show_default();
  table.add("--temp-poll", flags.temp_poll, "Seconds between readings").type("S").show_default();
  table
      .add("--temp-sensor", flags.temp_sensor,
           "A file with the temperature, in place of the machine's sensor")
      .type("FILE")
      .not_empty();
}

void add_model_flags(Command& command, TrainFlags& flags) {
  SettingTable& table = flags.settings;
  table
      .add("-w,--model-weights", flags.model.model,
           "A model directory, a safetensors file, or a hub id owner/name that is in the local hub "
           "cache (default: skyoo2003/bit-axon if it is there, else the bundled model)")
      .type("PATH|REPO")
      .not_empty();
  table
      .add(
          "-t,--tokenizer", flags.model.tokenizer,
          "A tokenizer file, its folder, or a hub id in the local hub cache (default: the model's)")
      .type("PATH|REPO")
      .not_empty();
  const Flag small =
      table.add("--config-small", flags.model.config_small,
                "The small preset with random weights and a byte tokenizer, to try the command "
                "(ignored when a model is named)");
  table
      .add("--config-medium", flags.model.config_medium,
           "The medium preset in the same way (ignored when a model is named)")
      .excludes(small);
  add_quantize_option(command, flags.model);
  add_device_options(command, flags.device);
  table.watch("quantize", flags.model.quantize);
  table.watch("device", flags.device.device);
  table.watch("precision", flags.device.precision);
  table.watch("threads", flags.device.threads);
}

}  // namespace

void add_train_flags(Command& command, TrainFlags& flags) {
  command.add("DATA", flags.data, "Files of examples: JSONL, or a JSON array").not_empty();
  add_model_flags(command, flags);
  add_data_flags(flags);
  add_adapter_flags(flags);
  add_objective_flags(flags);
  add_optimizer_flags(flags);
  add_run_flags(flags);
  add_thermal_flags(flags);
  flags.settings.add("-o,--output-dir", flags.output, "Folder of checkpoints, adapter and metrics")
      .type("DIR")
      .not_empty()
      .show_default();
  flags.settings.forget("output-dir");  // a folder may move
  flags.is_resume = {
      command
          .add("--resume", flags.resume,
               "Continue from the newest checkpoint of the folder, or from the checkpoint DIR. "
               "Settings that are not given are the checkpoint's")
          .type("DIR")
          .optional_value()};
  command.add("--config", flags.config, "A JSON file with settings by the names of their flags")
      .type("FILE")
      .not_empty();
  command.add("--dry-run", flags.dry_run,
              "Check the examples, print counts, lengths and the memory, and end");
  command.add("--json", flags.json, "Print one JSON object");
  add_output_options(command, flags.say);
  command.spell("-lr", "--learning-rate");
}

}  // namespace bitaxon::tool
