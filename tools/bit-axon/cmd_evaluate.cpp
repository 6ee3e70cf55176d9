// bit-axon evaluate: how well a model predicts a text, and how far it is from another.
#include "bitaxon/error.h"
#include "console.h"
#include "formats/json.h"
#include "generate/evaluation.h"
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
  std::string positional_model, text, max_tokens, seq_length = "512", against;
  bool carry = false, json = false;
};

/// What --against names: a device for the same model, or a model for the same device.
struct Second {
  ModelOptions model;
  DeviceOptions device;
};

Second second_of(const EvaluateOptions& wanted) {
  Second second{wanted.model, wanted.device};
  if (!selector_problem(wanted.against)) {
    second.device.device = wanted.against;
    second.device.flag = "--against";
  } else {
    second.model.model = wanted.against;
    second.model.config_small = second.model.config_medium = false;
    second.model.quantize.clear();
  }
  return second;
}

std::vector<std::int32_t> read_text(const EvaluateOptions& wanted, const std::string& path,
                                    const Session& session) {
  if (!session.vocabulary) throw Error(ErrorKind::io, "no tokenizer: name one with --tokenizer");
  const Vocabulary& vocabulary = *session.vocabulary;
  const std::string text = read_whole_file(path, kMaxTextBytes);
  check_utf8(printable_path(path), text, vocabulary);
  std::vector<std::int32_t> ids = vocabulary.encode(text);
  if (!wanted.max_tokens.empty()) {
    // So many are predicted; the first one is not.
    const std::int64_t max = parse_integer("--max-tokens", wanted.max_tokens, 1, INT64_MAX - 1);
    ids.resize(std::min(ids.size(), static_cast<std::size_t>(max) + 1));
  }
  if (ids.size() < 2)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected a text of at least 2 tokens, got {}",
                            printable_path(path), ids.size()));
  return ids;
}

Json side_json(const Session& session, const Perplexity& perplexity) {
  return {{"model", session.model_name},
          {"device", session.backend->caps().name},
          {"device_name", session.backend->caps().device},
          {"precision", name_of(session.model->precision())},
          {"perplexity", perplexity.value()},
          {"std_error", finite_or_null(perplexity.std_error())},
          {"nll_per_token", perplexity.nll_per_token()}};
}

Json report_json(const EvaluateOptions& wanted, const std::string& text, const Session& session,
                 const Session* second, const Evaluation& found) {
  Json json = side_json(session, found.model);
  json["quantize"] = wanted.model.quantize.empty() ? Json(nullptr) : Json(wanted.model.quantize);
  json["text"] = printable_path(text);
  json["tokens"] = found.model.tokens;
  json["seq_length"] = parse_integer("--seq-length", wanted.seq_length, 1, INT64_MAX);
  json["windows"] = found.windows;
  json["carry"] = wanted.carry;
  json["seconds"] = found.seconds;
  json["tokens_per_sec"] = static_cast<double>(found.model.tokens) / found.seconds;
  if (second == nullptr) return json;
  json["against"] = side_json(*second, found.against);
  json["against"]["mean_kl"] = found.divergence->mean_kl;
  json["against"]["kl_99"] = found.divergence->kl_99;
  json["against"]["top1_agreement"] = found.divergence->top1_agreement;
  return json;
}

std::string perplexity_text(const Perplexity& perplexity) {
  return fmt::format("{:.4f} +- {:.4f} ({:.5f} nats per token)", perplexity.value(),
                     perplexity.std_error(), perplexity.nll_per_token());
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
  if (!wanted.positional_model.empty()) {
    if (!wanted.model.model.empty())
      throw UsageError("expected one of MODEL and --model, got both");
    wanted.model.model = wanted.positional_model;
  }
  EvaluationOptions options;
  options.seq_length = parse_integer("--seq-length", wanted.seq_length, 1, INT64_MAX);
  options.carry = wanted.carry;
  if (!wanted.max_tokens.empty())
    parse_integer("--max-tokens", wanted.max_tokens, 1, INT64_MAX - 1);
  const std::string text = wanted.text.empty() ? bundled_text().string() : wanted.text;
  const LoadOptions load{.run_ahead = 0, .largest_step = {StepOutput::all_logits, false}};
  const std::atomic<bool>& interrupted = catch_interrupts();

  Session session = open_session(wanted.model, wanted.device, wanted.output, load);
  if (wanted.text.empty() && !wanted.output.quiet)
    note("text: the bundled king-james.txt; --text names another");
  const std::vector<std::int32_t> ids = read_text(wanted, text, session);
  std::optional<Session> second;
  if (!wanted.against.empty()) {
    const Second other = second_of(wanted);
    second = open_session(other.model, other.device, {.quiet = true}, load);
    const std::int64_t n = session.model->config().vocab_size;
    const std::int64_t n_other = second->model->config().vocab_size;
    if (n != n_other)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("--against {}: expected a vocabulary of {}, got {}",
                              printable(wanted.against), n, n_other));
  }
  std::optional<Evaluation> found;
  {
    ProgressLine progress("evaluating", !wanted.output.quiet);
    found = evaluate(
        *session.model, second ? &*second->model : nullptr, ids, options,
        [&](std::uint64_t done) { progress.update(done, ids.size() - 1); }, interrupted);
  }
  if (!found) return kInterrupted;
  const Session* other = second ? &*second : nullptr;
  if (wanted.json)
    print(report_json(wanted, text, session, other, *found).dump(2) + "\n");
  else
    print_report(*found);
  return kDone;
}

}  // namespace

Command add_evaluate(CLI::App& program) {
  auto wanted = std::make_shared<EvaluateOptions>();
  CLI::App& app = *program.add_subcommand(
      "evaluate", "Measure how well a model predicts a text: perplexity with its standard error");
  app.add_option("MODEL", wanted->positional_model, "As --model")->check(not_empty());
  add_model_options(app, wanted->model);
  add_quantize_option(app, wanted->model);
  add_device_options(app, wanted->device);
  add_output_options(app, wanted->output);
  app.add_option("--text", wanted->text, "A text file in UTF-8 (default: the bundled one)")
      ->type_name("FILE")
      ->check(not_empty());
  app.add_option("--max-tokens", wanted->max_tokens, "Predict so many tokens (default: all)")
      ->type_name("N")
      ->check(not_empty());
  app.add_option("--seq-length", wanted->seq_length, "Tokens of a window")
      ->type_name("L")
      ->capture_default_str();
  app.add_flag("--carry", wanted->carry, "Begin each window with the state of the one before");
  app.add_option("--against", wanted->against,
                 "A second device, or a second model: adds the divergence of the model's "
                 "distributions from that one's")
      ->type_name("DEVICE|MODEL")
      ->check(not_empty());
  app.add_flag("--json", wanted->json, "Print one JSON object");
  return [wanted] { return run_command(*wanted); };
}

}  // namespace bitaxon::tool
