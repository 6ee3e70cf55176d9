// bit-axon quantize: writes a new model with 4-bit matrices.
#include "bitaxon/error.h"
#include "console.h"
#include "formats/quantize.h"
#include "model_source.h"
#include "options.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "rewrite.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

struct QuantizeOptions {
  ModelOptions model{.flag = "MODEL"};
  std::string format = "mlx", bits = "4", group_size = "64", output;
  bool double_quant = false, json = false;
  OutputOptions say;
};

Quantization quantization_of(const QuantizeOptions& wanted) {
  if (wanted.format != "nf4" && wanted.format != "mlx")
    throw UsageError(
        fmt::format("--format: expected nf4 or mlx, got \"{}\"", printable(wanted.format)));
  check_bits("--bits", wanted.bits);
  Quantization how;
  how.format = four_bit_format(wanted.format);
  how.group_size = parse_group_size("--group-size", wanted.group_size);
  how.nested = wanted.double_quant;
  if (how.nested && how.format != WeightFormat::nf4)
    throw UsageError("--double-quant: expected --format nf4, got mlx");
  return how;
}

/// A model from the hub is in the cache, where no results are written.
std::filesystem::path default_output(const ModelSource& source) {
  return source.repository.empty() ? source.files.folder / "q4" : folder_beside(source, "-q4");
}

int run_command(const QuantizeOptions& wanted) {
  const Quantization how = quantization_of(wanted);
  const ModelSource source = find_named_model(wanted.model, wanted.say);
  const std::filesystem::path output =
      !wanted.output.empty() ? std::filesystem::path(wanted.output) : default_output(source);
  refuse_own_input(source.files, output);
  const std::atomic<bool>& interrupted = catch_interrupts();

  const Checkpoint checkpoint = Checkpoint::open(source.files.weights);
  std::vector<std::string> warnings;
  std::string config_text;
  const ModelSpec spec = load_spec(source.files, warnings, &config_text);
  const std::string name = printable_path(source.files.weights.string());
  std::vector<FoundWeight> found = find_weights(spec, checkpoint, name, warnings);
  quantize_found(spec, how, name, found);
  std::vector<WeightEdit> edits;
  for (FoundWeight& weight : found) {
    WeightEdit edit{.from = weight, .to = weight.loaded(), .how = weight.quantize, .change = {}};
    edits.push_back(std::move(edit));
  }
  return rewrite(
      {"quantizing", source.files, checkpoint, spec, config_text, output, wanted.say, wanted.json},
      std::move(edits), warnings, interrupted);
}

}  // namespace

void add_quantize(CommandLine& line) {
  auto wanted = std::make_shared<QuantizeOptions>();
  Command& command =
      line.add_command("quantize", "Write a new model with 4-bit matrices, experts included");
  command.add("MODEL", wanted->model.model, "A model directory, a safetensors file, or a hub id")
      .required()
      .not_empty();
  command
      .add("--format", wanted->format,
           "mlx (affine codes, as upstream writes them) or nf4 (bitsandbytes' layout)")
      .show_default();
  command.add("-b,--bits", wanted->bits, "Bits of a code: 4").show_default();
  command.add("-g,--group-size", wanted->group_size, "Codes that share a scale: 32, 64 or 128")
      .show_default();
  command.add("--double-quant", wanted->double_quant, "nf4: store the scales in 8 bits");
  command
      .add("-o,--output", wanted->output,
           "A new folder (default: q4 in the model's folder; for a hub id NAME-q4 in the current "
           "directory)")
      .type("DIR")
      .not_empty();
  add_ignored_presets(command, wanted->model);
  command.add("--json", wanted->json, "Print one JSON object");
  add_output_options(command, wanted->say);
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
