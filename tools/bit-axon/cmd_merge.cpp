// bit-axon merge: writes a new model with a LoRA or DoRA adapter folded in.
#include <algorithm>
#include <limits>

#include "bitaxon/error.h"
#include "console.h"
#include "formats/quantize.h"
#include "model/adapter_file.h"
#include "model/lora.h"
#include "model_source.h"
#include "options.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "rewrite.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

struct MergeOptions {
  ModelOptions base{.flag = "--base-model"};
  std::string positional_base, adapter, output, bits, group_size, rank, scale = "20";
  bool no_re_quantize = false, json = false;
  OutputOptions say;
};

/// How a quantized weight is quantized again; empty if the groups do not divide its columns.
std::optional<Quantization> again(const WeightDesc& desc, std::optional<std::int64_t> group_size) {
  const Quantization how{desc.format, group_size.value_or(desc.group_size), desc.nested};
  const bool known = how.group_size == 32 || how.group_size == 64 || how.group_size == 128;
  if (!known || !can_quantize(desc, how)) return std::nullopt;
  return how;
}

/// The form in which a dequantized weight is written.
WeightDesc as_floats(WeightDesc desc) {
  // desc.dtype is the type that the weight had: the type of affine scales, or what NF4 names.
  desc.format = WeightFormat::dense;
  desc.group_size = desc.nested_group_size = 0;
  desc.nested = false;
  return desc;
}

/// The flags that hold numbers, parsed.
struct Numbers {
  double scale = 0;
  std::optional<std::int64_t> group_size, rank;
};

Numbers numbers_of(const MergeOptions& wanted) {
  if (!wanted.bits.empty()) check_bits("--bits", wanted.bits);
  Numbers numbers;
  numbers.scale = parse_number("--lora-scale", wanted.scale, -std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::max());
  if (!wanted.group_size.empty())
    numbers.group_size = parse_group_size("--group-size", wanted.group_size);
  if (!wanted.rank.empty()) numbers.rank = parse_integer("--lora-rank", wanted.rank, 1, INT32_MAX);
  return numbers;
}

/// `file`: the model's file, for messages.
std::vector<WeightEdit> edits_of(const MergeOptions& wanted, const std::string& file,
                                 const std::vector<FoundWeight>& found, const Adapter& adapter,
                                 const Numbers& numbers) {
  std::vector<WeightEdit> edits;
  for (const FoundWeight& weight : found) {
    const WeightDesc& desc = weight.source.desc;
    WeightEdit edit{.from = weight, .to = desc, .how = {}, .change = {}};
    const auto layer = adapter.layers.find(weight.slot.name());
    if (layer != adapter.layers.end()) edit.change = change_of(layer->second, numbers.scale);
    const bool is_coded = desc.format != WeightFormat::dense;
    const bool other_groups = numbers.group_size.value_or(desc.group_size) != desc.group_size;
    if (is_coded && wanted.no_re_quantize) {
      edit.to = as_floats(desc);
    } else if (is_coded && (edit.change || other_groups)) {
      edit.how = again(desc, numbers.group_size);
      // A weight that is not adapted stays as it is.
      if (!edit.how && edit.change)
        throw Error(
            ErrorKind::unsupported,
            fmt::format("{}: tensor {}: expected groups of 32, 64 or 128 that divide {} columns to "
                        "quantize it again, got {}; see --group-size and --no-re-quantize",
                        file, weight.slot.name(), desc.cols,
                        numbers.group_size.value_or(desc.group_size)));
      if (edit.how) edit.to = quantized_desc(as_floats(desc), *edit.how);
    }
    edits.push_back(std::move(edit));
  }
  return edits;
}

/// Whether --bits or --group-size is given although nothing is quantized again.
bool has_idle_numbers(const MergeOptions& wanted, const std::vector<FoundWeight>& found) {
  if (wanted.bits.empty() && wanted.group_size.empty()) return false;
  return wanted.no_re_quantize || std::ranges::all_of(found, [](const FoundWeight& weight) {
           return weight.source.desc.format == WeightFormat::dense;
         });
}

int run_command(MergeOptions wanted) {
  if (wanted.positional_base.empty() == wanted.base.model.empty())
    throw UsageError(fmt::format("expected one of BASE and --base-model, got {}",
                                 wanted.base.model.empty() ? "neither" : "both"));
  if (!wanted.positional_base.empty())
    wanted.base = {.flag = "BASE",
                   .model = wanted.positional_base,
                   .config_small = wanted.base.config_small,
                   .config_medium = wanted.base.config_medium};
  const Numbers numbers = numbers_of(wanted);
  const ModelSource source = find_named_model(wanted.base, wanted.say);
  const std::filesystem::path output = wanted.output.empty() ? folder_beside(source, "-merged")
                                                             : std::filesystem::path(wanted.output);
  refuse_own_input(source.files, output);
  const std::atomic<bool>& interrupted = catch_interrupts();

  const Checkpoint checkpoint = Checkpoint::open(source.files.weights);
  std::vector<std::string> warnings;
  std::string config_text;
  const ModelSpec spec = load_spec(source.files, warnings, &config_text);
  const std::string name = printable_path(source.files.weights.string());
  const std::vector<FoundWeight> found = find_weights(spec, checkpoint, name, warnings);
  const Checkpoint adapter_file = Checkpoint::open(find_adapter(wanted.adapter));
  const Adapter adapter = read_adapter(adapter_file, found, warnings);
  for (const auto& [weight, layer] : adapter.layers)
    if (numbers.rank.value_or(layer.rank) != layer.rank)
      throw UsageError(
          fmt::format("--lora-rank: expected {}, the rank of the adapter of {}, got {}", layer.rank,
                      weight, *numbers.rank));
  if (has_idle_numbers(wanted, found))
    warnings.push_back("nothing is quantized again: --bits and --group-size change nothing");
  return rewrite(
      {"merging", source.files, checkpoint, spec, config_text, output, wanted.say, wanted.json},
      edits_of(wanted, name, found, adapter, numbers), warnings, interrupted);
}

}  // namespace

void add_merge(CommandLine& line) {
  auto wanted = std::make_shared<MergeOptions>();
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
  command.add("-b,--bits", wanted->bits, "Bits of a code when quantizing again: 4").not_empty();
  command
      .add("-g,--group-size", wanted->group_size,
           "Codes that share a scale when quantizing again (default: the model's)")
      .not_empty();
  command.add("-r,--lora-rank", wanted->rank, "Refuse an adapter of another rank").not_empty();
  command.add("--lora-scale", wanted->scale, "Factor of the adapter's product").show_default();
  add_ignored_presets(command, wanted->base);
  command.add("--json", wanted->json, "Print one JSON object");
  add_output_options(command, wanted->say);
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
