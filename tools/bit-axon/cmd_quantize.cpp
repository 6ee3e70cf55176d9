// bit-axon quantize: writes a new model with matrices of 4-bit or 8-bit codes.
#include "console.h"
#include "options.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "rewrite.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

struct QuantizeCommand {
  ModelOptions model{.flag = "MODEL"};
  std::string format = "mlx", bits = "4", group_size = "64", output;
  bool double_quant = false, json = false;
  OutputOptions say;
};

QuantizeOptions quantize_options(const QuantizeCommand& wanted) {
  if (wanted.format != "nf4" && wanted.format != "mlx")
    throw UsageError(
        fmt::format("--format: expected nf4 or mlx, got \"{}\"", printable(wanted.format)));
  const QuantizeOptions options{.format = wanted.format,
                                .group_size = parse_group_size("--group-size", wanted.group_size),
                                .nested = wanted.double_quant,
                                .bits = parse_bits("--bits", wanted.bits)};
  if (options.bits != 4 && options.format == "nf4")
    throw UsageError(fmt::format("--bits: expected 4 for --format nf4, got {}", options.bits));
  if (options.nested && options.format != "nf4")
    throw UsageError("--double-quant: expected --format nf4, got mlx");
  return options;
}

int run_command(const QuantizeCommand& wanted) {
  const QuantizeOptions options = quantize_options(wanted);
  const ModelSource source = find_named_model(wanted.model, wanted.say);
  const std::filesystem::path output = wanted.output.empty()
                                           ? default_quantized_folder(source, options.bits)
                                           : std::filesystem::path(wanted.output);
  refuse_own_input(source.files, output);
  const std::atomic<bool>& interrupted = catch_interrupts();
  return write_and_report({"quantizing", output, wanted.say, wanted.json},
                          Rewrite::quantize(source.files, options), interrupted);
}

}  // namespace

void add_quantize(CommandLine& line) {
  auto wanted = std::make_shared<QuantizeCommand>();
  Command& command = line.add_command(
      "quantize", "Write a new model with matrices of 4 or 8 bits, experts included");
  command.add("MODEL", wanted->model.model, "A model directory, a safetensors file, or a hub id")
      .required()
      .not_empty();
  command
      .add("--format", wanted->format,
           "mlx (affine codes, which mlx-lm loads) or nf4 (bitsandbytes' layout)")
      .show_default();
  command.add("-b,--bits", wanted->bits, "Bits of a code: 4, or 8 for mlx").show_default();
  command.add("-g,--group-size", wanted->group_size, "Codes that share a scale: 32, 64 or 128")
      .show_default();
  command.add("--double-quant", wanted->double_quant, "nf4: store the scales in 8 bits");
  command
      .add("-o,--output", wanted->output,
           "A new folder (default: q4 or q8 in the model's folder; for a hub id NAME-q4 or NAME-q8 "
           "in the current directory)")
      .type("DIR")
      .not_empty();
  add_ignored_presets(command, wanted->model);
  command.add("--json", wanted->json, "Print one JSON object");
  add_output_options(command, wanted->say);
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
