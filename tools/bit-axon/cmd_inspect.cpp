// bit-axon inspect: describes a model from its files alone.
#include <algorithm>
#include <map>
#include <optional>

#include "bitaxon/error.h"
#include "console.h"
#include "formats/json.h"
#include "memory_report.h"
#include "model/inspection.h"
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

Inspection inspect(const InspectOptions& wanted) {
  check_preset(wanted.model);
  const std::string name = named_preset(wanted.model);
  if (!name.empty() && wanted.model.model.empty()) {
    if (wanted.check) throw UsageError("--check: expected a model with files, got a preset");
    return inspect_random(preset_spec(name), fmt::format("the {} preset", name));
  }
  const ModelSource source = find_named_model(wanted.model, wanted.output);
  Inspection model = inspect_files(source.files);
  if (!wanted.check) return model;
  ProgressLine progress("checking", !wanted.output.quiet);
  check_numbers(model,
                [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  return model;
}

Json tallies_json(const std::map<std::string, Tally>& tallies) {
  Json json = Json::object();
  for (const auto& [name, tally] : tallies)
    json[name] = {{"parameters", tally.elements},
                  {"bytes", tally.bytes},
                  {"bits_per_weight", tally.bits_per_weight()}};
  return json;
}

Json tensors_json(const Inspection& model) {
  Json list = Json::array();
  for (const FoundWeight& weight : model.weights)
    list.push_back({{"name", weight.slot.name()},
                    {"shape", std::vector<std::int64_t>(weight.slot.shape.dims().begin(),
                                                        weight.slot.shape.dims().end())},
                    {"format", weight.source.desc.format_name()},
                    {"bytes", weight.stored_bytes()}});
  return list;
}

Json to_json(const Inspection& model, const InspectOptions& wanted) {
  Json json;
  json["model"] = printable_path(model.path);
  json["config"] = Json::parse(model.spec.config);
  json["parameters"] = model.n_parameters;
  json["parameters_read_per_token"] = model.n_read_per_token;
  json["bits_per_weight"] = model.stored.bits_per_weight();
  json["bytes"] = model.stored.bytes;
  json["parts"] = tallies_json(model.parts);
  json["formats"] = tallies_json(model.formats);
  json["scales"] = Json::object();
  for (const auto& [type, tally] : model.scales)
    json["scales"][type] = {{"groups", tally.elements}, {"bytes", tally.bytes}};
  json["state_bytes"] = {{"exact", model.state_exact_bytes}, {"fast", model.state_fast_bytes}};
  Json devices = Json::array();
  for (const DeviceFit& fit : fits_of(model.spec, model.weights)) devices.push_back(fit_json(fit));
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
                      tally.bits_per_weight()));
}

/// The texts that the reported state is for. The state of full attention grows with the text.
std::string lengths_of_state(const ModelSpec& spec) {
  const bool grows = std::ranges::any_of(spec.blocks, [](const BlockSpec& block) {
    const auto* attention = std::get_if<AttentionSpec>(&block.mixer);
    return attention != nullptr && !attention->window;
  });
  return grows ? fmt::format("a text of {} tokens", spec.max_seq_len) : "any context length";
}

void print_config(const ModelSpec& spec) {
  print("config\n");
  const Json config = Json::parse(spec.config);
  std::size_t width = 22;
  for (const auto& [key, value] : config.items()) width = std::max(width, key.size() + 1);
  for (const auto& [key, value] : config.items())
    print(fmt::format("  {:<{}}{}\n", key, width, value.dump()));
}

void print_report(const Inspection& model, const InspectOptions& wanted) {
  print(fmt::format("model        {}\n", printable_path(model.path)));
  print(fmt::format("parameters   {} ({}), {} read per token ({})\n", model.n_parameters,
                    count_text(static_cast<double>(model.n_parameters)), model.n_read_per_token,
                    count_text(static_cast<double>(model.n_read_per_token))));
  print(fmt::format("stored       {}, {:.2f} bits per weight\n", bytes_text(model.stored.bytes),
                    model.stored.bits_per_weight()));
  print(fmt::format("layers       {}\n", layers_text(model.spec)));
  print(fmt::format("state        {} exact, {} fast, for {}\n", bytes_text(model.state_exact_bytes),
                    bytes_text(model.state_fast_bytes), lengths_of_state(model.spec)));
  print_tallies("parts", model.parts);
  print_tallies("formats", model.formats);
  if (!model.scales.empty()) print("scales\n");
  for (const auto& [type, tally] : model.scales)
    print(fmt::format("  {:<22}{:>12}{:>14}\n", type,
                      count_text(static_cast<double>(tally.elements)), bytes_text(tally.bytes)));
  print("fits\n");
  for (const DeviceFit& fit : fits_of(model.spec, model.weights))
    print(fmt::format("  {:<22}{}\n", fit.selector, fit_text(fit)));
  print_config(model.spec);
  if (wanted.tensors) {
    print("tensors\n");
    for (const FoundWeight& weight : model.weights)
      print(fmt::format("  {:<48}{:<20}{:<18}{:>12}\n", weight.slot.name(),
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

void add_inspect(CommandLine& line) {
  auto wanted = std::make_shared<InspectOptions>();
  Command& command = line.add_command(
      "inspect", "Describe a model: parameters, bytes, formats, state, fitting devices");
  command.add("MODEL", wanted->positional_model, "As --model").not_empty();
  add_model_options(command, wanted->model);
  add_preset_option(command, wanted->model);
  add_output_options(command, wanted->output);
  command.add("--tensors", wanted->tensors, "List every tensor");
  command.add("--check", wanted->check, "Look for NaN and Inf; exit with 1 if there are any");
  command.add("--json", wanted->json, "Print one JSON object");
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
