// bit-axon evaluate: measures how well a model predicts a text, and how far it is from another
// model.
#include <algorithm>
#include <cmath>

#include "bitaxon/error.h"
#include "bitaxon/evaluation.h"
#include "bitaxon/step_limits.h"
#include "console.h"
#include "formats/json.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 30;

struct EvaluateOptions {
  ModelOptions model;
  DeviceOptions device;
  OutputOptions output;
  std::string positional_model, text, max_tokens, seq_length = "512", batch_size = "1", against;
  bool carry = false, json = false;
};

EvaluationOptions evaluation_options(const EvaluateOptions& wanted) {
  EvaluationOptions options;
  options.seq_length = parse_integer("--seq-length", wanted.seq_length, 1, INT64_MAX);
  options.batch_size = parse_integer("--batch-size", wanted.batch_size, 1, kMaxSegments);
  options.carry = wanted.carry;
  if (options.carry && options.batch_size > 1)
    throw UsageError(
        fmt::format("--batch-size: expected 1 with --carry, where each window needs "
                    "the one before, got {}",
                    options.batch_size));
  return options;
}

/// The model that --against names; empty if the flag names a device or is absent.
std::optional<ModelOptions> second_model(const EvaluateOptions& wanted) {
  if (wanted.against.empty() || !selector_problem(wanted.against)) return std::nullopt;
  ModelOptions second = wanted.model;
  second.flag = "--against";
  second.model = wanted.against;
  second.config_small = second.config_medium = false;
  second.quantize.clear();  // the model is compared as it is stored
  second.adapter.clear();
  second.lora_scale.clear();
  return second;
}

/// Opens the model and its counterpart: the same model on a second device, or a second model on the
/// same device.
std::vector<Session> open_sides(const EvaluateOptions& wanted,
                                const std::optional<ModelOptions>& second_model,
                                std::int64_t batch_size) {
  const LoadOptions load{.run_ahead = 0,
                         .n_slots = static_cast<int>(batch_size),
                         .largest_step = {StepOutput::all_logits}};
  std::vector<DeviceOptions> devices = {wanted.device};
  if (!wanted.against.empty() && !second_model) {
    devices.push_back(wanted.device);
    devices.back().device = wanted.against;
    devices.back().flag = "--against";
  }
  std::vector<Session> sides = open_sessions(wanted.model, devices, wanted.output, load);
  if (second_model)
    sides.push_back(open_session(*second_model, wanted.device, {.quiet = true}, load));
  if (sides.size() > 1 && !wanted.output.quiet) {
    const BackendCaps& caps = caps_of(*sides[1].backend);
    note(fmt::format("against: {} on {} ({}), {}", sides[1].model_name, caps.name, caps.device,
                     name_of(sides[1].model.precision())));
  }
  return sides;
}

Json side_json(const Session& session, const std::string& quantize, const Perplexity& perplexity) {
  return {{"model", session.model_name},
          {"device", caps_of(*session.backend).name},
          {"device_name", caps_of(*session.backend).device},
          {"precision", name_of(session.model.precision())},
          {"quantize", quantize.empty() ? Json(nullptr) : Json(quantize)},
          {"perplexity", finite_or_null(perplexity.value())},
          {"std_error", finite_or_null(perplexity.std_error())},
          {"nll_per_token", perplexity.nll_per_token()}};
}

/// The result as JSON. `second_quantize` says how the matrices of the second model were quantized
/// while loading.
Json report_json(const EvaluateOptions& wanted, const std::string& text,
                 std::span<const Session> sides, const std::string& second_quantize,
                 const Evaluation& found) {
  Json json = side_json(sides[0], wanted.model.quantize, found.model);
  json["text"] = printable_path(text);
  json["tokens"] = found.model.tokens;
  json["seq_length"] = parse_integer("--seq-length", wanted.seq_length, 1, INT64_MAX);
  json["batch_size"] = parse_integer("--batch-size", wanted.batch_size, 1, kMaxSegments);
  json["windows"] = found.windows;
  json["carry"] = wanted.carry;
  json["seconds"] = found.seconds;
  json["tokens_per_sec"] = static_cast<double>(found.model.tokens) / found.seconds;
  if (sides.size() < 2) return json;
  json["against"] = side_json(sides[1], second_quantize, found.against);
  json["against"]["mean_kl"] = finite_or_null(found.divergence->mean_kl);
  json["against"]["kl_99"] = finite_or_null(found.divergence->kl_99);
  json["against"]["top1_agreement"] = found.divergence->top1_agreement;
  return json;
}

std::string number_text(double value) {
  if (!std::isfinite(value)) return "unknown";
  return value < 1e7 ? fmt::format("{:.4f}", value) : fmt::format("{:.4e}", value);
}

/// The perplexity as text. A single token has no standard error, and a perplexity may overflow. The
/// nats per token, which are always finite, are shown too.
std::string perplexity_text(const Perplexity& perplexity) {
  return fmt::format("{} +- {} ({:.5f} nats per token)",
                     std::isinf(perplexity.value()) ? "> 1e308" : number_text(perplexity.value()),
                     number_text(perplexity.std_error()), perplexity.nll_per_token());
}

void print_report(const Evaluation& found) {
  print(fmt::format("tokens       {} in {} window{}\n", found.model.tokens, found.windows,
                    found.windows == 1 ? "" : "s"));
  print(fmt::format("perplexity   {}\n", perplexity_text(found.model)));
  if (!found.divergence) return;
  print(fmt::format("against      {}\n", perplexity_text(found.against)));
  print(fmt::format("divergence   mean {:.3e} nats, 99th percentile {:.3e}\n",
                    found.divergence->mean_kl, found.divergence->kl_99));
  print(fmt::format("top-1        the same for {:.3f} % of the tokens\n",
                    100 * found.divergence->top1_agreement));
}

int run_command(EvaluateOptions wanted) {
  take_positional_model(wanted.positional_model, wanted.model);
  const EvaluationOptions options = evaluation_options(wanted);
  std::optional<std::int64_t> max_tokens;
  if (!wanted.max_tokens.empty())
    max_tokens = parse_integer("--max-tokens", wanted.max_tokens, 1, INT64_MAX - 1);
  const std::string path = wanted.text.empty() ? bundled_text("--text").string() : wanted.text;
  const std::string text = read_whole_file(path, kMaxTextBytes);  // read it before a long load

  const std::optional<ModelOptions> second = second_model(wanted);
  std::vector<Session> sides = open_sides(wanted, second, options.batch_size);
  if (wanted.text.empty() && !wanted.output.quiet)
    note("text: the bundled king-james.txt; --text names another");
  if (!sides[0].vocabulary) throw Error(ErrorKind::io, "no tokenizer: name one with --tokenizer");
  const std::vector<std::int32_t> ids =
      evaluation_ids(printable_path(path), text, *sides[0].vocabulary, max_tokens);
  if (second) check_same_tokens("--against " + printable(wanted.against), text, sides[0], sides[1]);
  std::optional<Evaluation> found;
  {
    // Up to here Ctrl-C ends the process at once, because loading may take long and leaves no
    // files.
    const std::atomic<bool>& interrupted = catch_interrupts();
    ProgressLine progress("evaluating", !wanted.output.quiet);
    found = evaluate(
        sides[0].model, sides.size() > 1 ? &sides[1].model : nullptr, ids, options,
        [&](std::uint64_t done) { progress.update(done, ids.size() - 1); }, &interrupted);
  }
  if (!found) return kInterrupted;
  if (wanted.json)
    print(report_json(wanted, path, sides, second ? "" : wanted.model.quantize, *found).dump(2) +
          "\n");
  else
    print_report(*found);
  return kDone;
}

}  // namespace

void add_evaluate(CommandLine& line) {
  auto wanted = std::make_shared<EvaluateOptions>();
  Command& command = line.add_command(
      "evaluate", "Measure how well a model predicts a text: perplexity with its standard error");
  command.add("MODEL", wanted->positional_model, "As --model").not_empty();
  add_model_options(command, wanted->model);
  add_quantize_option(command, wanted->model);
  add_adapter_options(command, wanted->model);
  add_device_options(command, wanted->device);
  add_output_options(command, wanted->output);
  command.add("--text", wanted->text, "A text file in UTF-8 (default: the bundled one)")
      .type("FILE")
      .not_empty();
  command.add("--max-tokens", wanted->max_tokens, "Tokens to predict (default: all)")
      .type("N")
      .not_empty();
  command.add("--seq-length", wanted->seq_length, "Tokens of a window").type("L").show_default();
  command.add("--batch-size", wanted->batch_size, "Windows computed together, 1 to 32")
      .type("N")
      .not_empty()
      .show_default();
  command.add("--carry", wanted->carry, "Begin each window with the state of the previous window");
  command
      .add("--against", wanted->against,
           "A second device for the same model (--quantize applies to both), or a second model "
           "as it is stored (--quantize applies to the first only): also print the divergence of "
           "the model's distributions from the second one's")
      .type("DEVICE|MODEL")
      .not_empty();
  command.add("--json", wanted->json, "Print one JSON object");
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
