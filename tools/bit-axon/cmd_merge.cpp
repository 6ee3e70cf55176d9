// bit-axon merge: writes a new model with a LoRA or DoRA adapter folded in.
#include <limits>

#include "bitaxon/error.h"
#include "console.h"
#include "options.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "rewrite.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

struct MergeCommand {
  ModelOptions base{.flag = "--base-model"};
  std::string positional_base, adapter, output, bits, group_size, rank, scale, dtype;
  bool no_re_quantize = false, json = false;
  OutputOptions say;
};

MergeOptions merge_options(const MergeCommand& wanted) {
  MergeOptions options{.adapter = wanted.adapter, .re_quantize = !wanted.no_re_quantize};
  constexpr double kMost = std::numeric_limits<float>::max();
  if (!wanted.scale.empty())
    options.scale = parse_number("--lora-scale", wanted.scale, -kMost, kMost);
  if (!wanted.dtype.empty()) options.dtype = parse_float_type("--dtype", wanted.dtype);
  if (!wanted.group_size.empty())
    options.group_size = parse_group_size("--group-size", wanted.group_size);
  if (!wanted.bits.empty()) options.bits = parse_bits("--bits", wanted.bits);
  if (!wanted.rank.empty()) options.rank = parse_integer("--lora-rank", wanted.rank, 1, INT32_MAX);
  return options;
}

/// Plans the merge. Throws UsageError for an option that the adapter does not fit.
Rewrite merged(const ModelFiles& files, const MergeOptions& options) try {
  return Rewrite::merge(files, options);
} catch (const Error& error) {
  if (error.kind() != ErrorKind::invalid_argument) throw;
  throw UsageError(fmt::format("--{}", error.what()));
}

int run_command(MergeCommand wanted) {
  if (wanted.positional_base.empty() == wanted.base.model.empty())
    throw UsageError(fmt::format("expected one of BASE and --base-model, got {}",
                                 wanted.base.model.empty() ? "neither" : "both"));
  if (!wanted.positional_base.empty())
    wanted.base = {.flag = "BASE",
                   .model = wanted.positional_base,
                   .config_small = wanted.base.config_small,
                   .config_medium = wanted.base.config_medium};
  const MergeOptions options = merge_options(wanted);
  const ModelSource source = find_named_model(wanted.base, wanted.say);
  const std::filesystem::path output =
      wanted.output.empty() ? default_merged_folder(source) : std::filesystem::path(wanted.output);
  refuse_own_input(source.files, output);
  const std::atomic<bool>& interrupted = catch_interrupts();

  Rewrite rewrite = merged(source.files, options);
  RewriteCommand command{"merging", output, wanted.say, wanted.json};
  const bool has_numbers = !wanted.bits.empty() || !wanted.group_size.empty();
  if (has_numbers && !rewrite.has_codes())
    command.warnings = {"nothing is quantized again: --bits and --group-size change nothing"};
  return write_and_report(command, std::move(rewrite), interrupted);
}

}  // namespace

void add_merge(CommandLine& line) {
  auto wanted = std::make_shared<MergeCommand>();
  Command& command =
      line.add_command("merge", "Fold a LoRA or DoRA adapter into a model, as a new model");
  command.add("BASE", wanted->positional_base, "The model that the adapter was trained on")
      .not_empty();
  command.add("--base-model", wanted->base.model, "The same as BASE").not_empty();
  command
      .add("-a,--adapter", wanted->adapter,
           "The adapter's safetensors file, with or without its ending, or its folder")
      .type("PATH")
      .required()
      .not_empty();
  command
      .add("-o,--output", wanted->output,
           "A new folder (default: the base's name with -merged; for a hub id in the current "
           "directory)")
      .type("DIR")
      .not_empty();
  command.add("--no-re-quantize", wanted->no_re_quantize,
              "Write the quantized matrices of the model as floats");
  command
      .add("--dtype", wanted->dtype,
           "Type of changed matrices that are written as floats: f32, f16 or bf16 (default: their "
           "type before quantization)")
      .not_empty();
  command.add("-b,--bits", wanted->bits, "Bits of an affine code when quantizing again: 4 or 8")
      .not_empty();
  command
      .add("-g,--group-size", wanted->group_size,
           "Codes that share a scale when quantizing again (default: the model's)")
      .not_empty();
  command.add("-r,--lora-rank", wanted->rank, "Refuse an adapter of another rank").not_empty();
  command
      .add("--lora-scale", wanted->scale,
           "Factor of the adapter's product (default: of adapter_config.json, else 20)")
      .not_empty();
  add_ignored_presets(command, wanted->base);
  command.add("--json", wanted->json, "Print one JSON object");
  add_output_options(command, wanted->say);
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
