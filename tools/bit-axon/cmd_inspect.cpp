// bit-axon inspect: describes a model from its files alone.
#include <cmath>
#include <map>
#include <optional>

#include "bitaxon/error.h"
#include "console.h"
#include "formats/json.h"
#include "memory_report.h"
#include "model/random_weights.h"
#include "model/state_pool.h"
#include "model/weights.h"
#include "model_source.h"
#include "options.h"
#include "platform/printable.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

struct InspectOptions {
  ModelOptions model;
  OutputOptions output;
  std::string positional_model;
  bool tensors = false, check = false, json = false;
};

/// Sums over a part of the model, or over one stored format.
struct Tally {
  std::int64_t elements = 0;
  std::uint64_t bytes = 0;
};

/// One tensor with numbers that are not finite.
struct BadTensor {
  std::string name;
  std::int64_t n_nan = 0;
  std::int64_t n_inf = 0;
};

struct Inspection {
  std::string path;
  Config config;
  std::optional<Checkpoint> checkpoint;  ///< the weights point into it; empty for a preset
  std::vector<FoundWeight> weights;
  std::vector<std::string> warnings;
  std::int64_t n_parameters = 0;  ///< a tied head counted once
  std::int64_t n_read_per_token = 0;
  Tally stored;
  std::map<std::string, Tally> parts, formats;
  std::map<std::string, Tally> scales;  ///< scales of codes, by the type they are stored in
  std::uint64_t state_exact_bytes = 0, state_fast_bytes = 0;
  std::vector<BadTensor> bad;
};

std::int64_t read_per_token(const FoundWeight& weight, const Config& config) {
  const std::int64_t elements = weight.source.desc.elements();
  if (weight.slot.chosen_of > 0) return elements / config.moe_num_experts * weight.slot.chosen_of;
  if (weight.slot.name == "embed_tokens.weight") return config.d_source_model;
  return elements;
}

/// The type of the scales: "F16"; "F16, biases F32" if affine biases have another type; for nf4
/// "F32" or "U8".
std::string scale_type(const WeightDesc& desc) {
  if (desc.format == WeightFormat::nf4) return desc.nested ? "U8" : "F32";
  const std::string scales(name_of(desc.dtype));
  return desc.bias_dtype == desc.dtype
             ? scales
             : fmt::format("{}, biases {}", scales, name_of(desc.bias_dtype));
}

std::uint64_t state_bytes(const Config& config, DType kv_dtype) {
  StateIndex index;
  return state_layout(config, {.kv_dtype = kv_dtype}, index).total_bytes();
}

void scan(const Checkpoint& checkpoint, Inspection& model, bool quiet) {
  LoadedWeight loaded;
  std::vector<float> row;
  std::uint64_t done = 0, total = 0;
  for (const FoundWeight& weight : model.weights) total += weight.source.desc.stored_bytes();
  ProgressLine progress("checking", !quiet);
  for (const FoundWeight& weight : model.weights) {
    const WeightDesc& desc = weight.source.desc;
    read_weight(checkpoint, weight.source, loaded);
    BadTensor bad{weight.slot.name, 0, 0};
    row.resize(static_cast<std::size_t>(desc.cols));
    for (std::int64_t first = 0; first < desc.elements(); first += desc.cols) {
      decode(desc, loaded.parts, first, row);
      for (float value : row) {
        bad.n_nan += std::isnan(value) ? 1 : 0;
        bad.n_inf += std::isinf(value) ? 1 : 0;
      }
    }
    if (bad.n_nan + bad.n_inf > 0) model.bad.push_back(std::move(bad));
    progress.update(done += desc.stored_bytes(), total);
  }
}

void inspect_preset(const InspectOptions& wanted, Inspection& model, Weights& unused) {
  if (wanted.check) throw UsageError("--check: expected a model with files, got a preset");
  model.path = wanted.model.config_small ? "the small preset" : "the medium preset";
  model.config = wanted.model.config_small ? Config::small() : Config::medium();
  model.weights = random_found(model.config, unused);
}

void inspect_files(const InspectOptions& wanted, Inspection& model, Weights& unused) {
  const ModelSource source = find_named_model(wanted.model, wanted.output);
  model.path = source.files.weights.string();
  const Checkpoint& checkpoint = model.checkpoint.emplace(Checkpoint::open(source.files.weights));
  model.config = load_config(source.files, model.warnings);
  model.weights =
      find_weights(model.config, checkpoint, printable_path(model.path), unused, model.warnings);
  if (wanted.check) scan(checkpoint, model, wanted.output.quiet);
}

void count(Inspection& model) {
  bool has_head = false;
  for (const FoundWeight& weight : model.weights) {
    const WeightDesc& desc = weight.source.desc;
    const bool head = weight.slot.name == "lm_head.weight";
    has_head = has_head || head;
    if (!head || !model.config.weight_tying) model.n_parameters += desc.elements();
    model.n_read_per_token += read_per_token(weight, model.config);
    for (Tally* tally : {&model.stored, &model.parts[std::string(part_of(weight.slot.name))],
                         &model.formats[desc.format_name()]}) {
      tally->elements += desc.elements();
      tally->bytes += weight.stored_bytes();
    }
    if (desc.format == WeightFormat::dense) continue;
    const PartBytes bytes = part_bytes(desc);
    Tally& scales = model.scales[scale_type(desc)];
    scales.elements += (desc.elements() - 1) / desc.group_size + 1;  // the last group may be short
    scales.bytes += bytes.scales + bytes.biases + bytes.nested_scales;
  }
  // The embedding is also the head, and the head is read whole.
  if (!has_head) model.n_read_per_token += model.config.vocab_size * model.config.d_source_model;
  model.state_exact_bytes = state_bytes(model.config, DType::f32);
  model.state_fast_bytes = state_bytes(model.config, DType::f16);
}

Inspection inspect(const InspectOptions& wanted) {
  Inspection model;
  Weights unused;  // the slots point into it, but nothing is packed
  const bool has_preset = wanted.model.config_small || wanted.model.config_medium;
  if (has_preset && wanted.model.model.empty())
    inspect_preset(wanted, model, unused);
  else
    inspect_files(wanted, model, unused);
  count(model);
  return model;
}

double bits_per_weight(const Tally& tally) {
  return static_cast<double>(tally.bytes) * 8 / static_cast<double>(tally.elements);
}

Json tallies_json(const std::map<std::string, Tally>& tallies) {
  Json json = Json::object();
  for (const auto& [name, tally] : tallies)
    json[name] = {{"parameters", tally.elements},
                  {"bytes", tally.bytes},
                  {"bits_per_weight", bits_per_weight(tally)}};
  return json;
}

Json tensors_json(const Inspection& model) {
  Json list = Json::array();
  for (const FoundWeight& weight : model.weights)
    list.push_back({{"name", weight.slot.name},
                    {"shape", std::vector<std::int64_t>(weight.slot.shape.dims().begin(),
                                                        weight.slot.shape.dims().end())},
                    {"format", weight.source.desc.format_name()},
                    {"bytes", weight.stored_bytes()}});
  return list;
}

Json to_json(const Inspection& model, const InspectOptions& wanted) {
  Json json;
  json["model"] = printable_path(model.path);
  json["config"] = Json::parse(model.config.to_json());
  json["parameters"] = model.n_parameters;
  json["parameters_read_per_token"] = model.n_read_per_token;
  json["bits_per_weight"] = bits_per_weight(model.stored);
  json["bytes"] = model.stored.bytes;
  json["parts"] = tallies_json(model.parts);
  json["formats"] = tallies_json(model.formats);
  json["scales"] = Json::object();
  for (const auto& [type, tally] : model.scales)
    json["scales"][type] = {{"groups", tally.elements}, {"bytes", tally.bytes}};
  json["state_bytes"] = {{"exact", model.state_exact_bytes}, {"fast", model.state_fast_bytes}};
  Json devices = Json::array();
  for (const DeviceFit& fit : fits_of(model.config, model.weights))
    devices.push_back(fit_json(fit));
  json["devices"] = devices;
  if (wanted.tensors) json["tensors"] = tensors_json(model);
  if (wanted.check) {
    Json list = Json::array();
    for (const BadTensor& bad : model.bad)
      list.push_back({{"name", bad.name}, {"nan", bad.n_nan}, {"inf", bad.n_inf}});
    json["not_finite"] = list;
  }
  json["warnings"] = model.warnings;
  return json;
}

void print_tallies(const char* title, const std::map<std::string, Tally>& tallies) {
  print(fmt::format("{}\n", title));
  for (const auto& [name, tally] : tallies)
    print(fmt::format("  {:<22}{:>12}{:>14}{:>8.2f} bits per weight\n", name,
                      count_text(static_cast<double>(tally.elements)), bytes_text(tally.bytes),
                      bits_per_weight(tally)));
}

void print_layers(const Config& config) {
  std::map<LayerKind, int> counts;
  for (std::int64_t i = 0; i < config.num_layers; ++i) ++counts[config.layer_kind(i)];
  print(fmt::format("layers       {} ssm, {} swa_moe, {} ssm_moe\n", counts[LayerKind::ssm],
                    counts[LayerKind::swa_moe], counts[LayerKind::ssm_moe]));
}

void print_report(const Inspection& model, const InspectOptions& wanted) {
  print(fmt::format("model        {}\n", printable_path(model.path)));
  print(fmt::format("parameters   {} ({}), {} read per token ({})\n", model.n_parameters,
                    count_text(static_cast<double>(model.n_parameters)), model.n_read_per_token,
                    count_text(static_cast<double>(model.n_read_per_token))));
  print(fmt::format("stored       {}, {:.2f} bits per weight\n", bytes_text(model.stored.bytes),
                    bits_per_weight(model.stored)));
  print_layers(model.config);
  print(fmt::format("state        {} exact, {} fast, for any context length\n",
                    bytes_text(model.state_exact_bytes), bytes_text(model.state_fast_bytes)));
  print_tallies("parts", model.parts);
  print_tallies("formats", model.formats);
  if (!model.scales.empty()) print("scales\n");
  for (const auto& [type, tally] : model.scales)
    print(fmt::format("  {:<22}{:>12}{:>14}\n", type,
                      count_text(static_cast<double>(tally.elements)), bytes_text(tally.bytes)));
  print("fits\n");
  for (const DeviceFit& fit : fits_of(model.config, model.weights))
    print(fmt::format("  {:<22}{}\n", fit.selector, fit_text(fit)));
  print("config\n");
  const Json config = Json::parse(model.config.to_json());
  for (const auto& [key, value] : config.items())
    print(fmt::format("  {:<22}{}\n", key, value.dump()));
  if (wanted.tensors) {
    print("tensors\n");
    for (const FoundWeight& weight : model.weights)
      print(fmt::format("  {:<48}{:<20}{:<18}{:>12}\n", weight.slot.name,
                        weight.slot.shape.to_string(), weight.source.desc.format_name(),
                        bytes_text(weight.stored_bytes())));
  }
  if (!wanted.check) return;
  print(model.bad.empty() ? "check        every number is finite\n" : "check\n");
  for (const BadTensor& bad : model.bad)
    print(fmt::format("  {:<48}{} NaN, {} Inf\n", bad.name, bad.n_nan, bad.n_inf));
}

int run_command(InspectOptions wanted) {
  take_positional_model(wanted.positional_model, wanted.model);
  const Inspection model = inspect(wanted);
  if (!wanted.output.quiet)
    for (const std::string& warning : model.warnings) note("warning: " + warning);
  if (wanted.json)
    print(to_json(model, wanted).dump(2) + "\n");
  else
    print_report(model, wanted);
  return model.bad.empty() ? kDone : kFailed;
}

}  // namespace

Command add_inspect(CLI::App& program) {
  auto wanted = std::make_shared<InspectOptions>();
  CLI::App& app = *program.add_subcommand(
      "inspect", "Describe a model: parameters, bytes, formats, state, fitting devices");
  app.add_option("MODEL", wanted->positional_model, "As --model")->check(not_empty());
  add_model_options(app, wanted->model);
  add_output_options(app, wanted->output);
  app.add_flag("--tensors", wanted->tensors, "List every tensor");
  app.add_flag("--check", wanted->check, "Look for NaN and Inf; exit with 1 if there are any");
  app.add_flag("--json", wanted->json, "Print one JSON object");
  return [wanted] { return run_command(*wanted); };
}

}  // namespace bitaxon::tool
