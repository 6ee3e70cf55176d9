// bit-axon prepare: converts files of examples to JSONL for training.
#include <algorithm>

#include "bitaxon/error.h"
#include "console.h"
#include "formats/json.h"
#include "hub_cache/cached_dataset.h"
#include "hub_cache/hub_names.h"
#include "platform/optional_file.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "session.h"
#include "training/data/data_report.h"
#include "training/data/prepare.h"

namespace bitaxon::tool {
namespace {

namespace fs = std::filesystem;

struct PrepareCommand {
  std::vector<std::string> inputs;
  OutputOptions output;
  std::string from = "auto", to = "messages", file, split = "train", limit, val_split, seed = "42";
  std::string tokenizer, max_seq_len = "2048";
  bool json = false;
};

/// A data set by a short name.
struct NamedDataset {
  std::string_view name, repository, split;
};
constexpr NamedDataset kNamed[] = {
    {"ultrachat", "HuggingFaceH4/ultrachat_200k", "train_sft"},
    {"alpaca", "tatsu-lab/alpaca", "train"},
    {"openorca", "Open-Orca/OpenOrca", "train"},
    {"ultrafeedback", "HuggingFaceH4/ultrafeedback_binarized", "train_prefs"},
    {"hh-rlhf", "Anthropic/hh-rlhf", "train"},
};

/// The files that an argument names: a local file, owner/name:file, owner/name, or a short name.
std::vector<fs::path> files_of(const std::string& input, const std::string& split) {
  if (optional_file_exists(input)) return {input};
  const auto named = std::ranges::find(kNamed, input, &NamedDataset::name);
  if (named != std::end(kNamed))
    return hub::cached_dataset_split(std::string(named->repository),
                                     split == "train" ? std::string(named->split) : split);
  const std::size_t colon = input.find(':');
  const std::string repository = input.substr(0, colon);
  if (!hub::is_repository(repository))
    throw Error(ErrorKind::io, fmt::format("{}: expected a file, owner/name:FILE or owner/name, "
                                           "found nothing there",
                                           printable_path(input)));
  if (colon == input.npos) return hub::cached_dataset_split(repository, split);
  return {hub::cached_dataset_file(repository, input.substr(colon + 1))};
}

/// The default name of the output, as the original Bit-Axon has it for data sets.
std::string default_output(const std::string& input, const std::string& split) {
  std::string name = optional_file_exists(input) ? fs::path(input).stem().string() : input;
  std::ranges::replace(name, '/', '_');
  std::ranges::replace(name, ':', '_');
  return fmt::format("{}_{}.jsonl", name, split);
}

fs::path validation_name(const fs::path& output) {
  fs::path name = output;
  name.replace_filename(output.stem().string() + ".val" + output.extension().string());
  return name;
}

PrepareOptions parsed(const PrepareCommand& wanted) {
  PrepareOptions options;
  if (wanted.from != "auto") {
    options.from = form_named(wanted.from);
    if (!options.from)
      throw UsageError(
          fmt::format("--from: expected auto, messages, sharegpt, alpaca, openorca, "
                      "completion, text, orpo, ultrafeedback or hh-rlhf, got \"{}\"",
                      printable(wanted.from)));
  }
  const std::optional<CanonicalForm> to = canonical_form_named(wanted.to);
  if (!to)
    throw UsageError(fmt::format("--format: expected messages, alpaca, orpo or text, got \"{}\"",
                                 printable(wanted.to)));
  options.to = *to;
  if (!wanted.limit.empty()) options.limit = parse_integer("--limit", wanted.limit, 1, INT64_MAX);
  if (!wanted.val_split.empty())
    options.val_share = parse_number("--val-split", wanted.val_split, 0, 1, true);
  options.seed = parse_seed("--seed", wanted.seed);
  return options;
}

/// The lengths of the written rows in tokens.
struct TokenCounts {
  DataOptions options;
  DataSurvey survey;
};

std::optional<TokenCounts> count_tokens(const PrepareCommand& wanted, const Vocabulary& vocabulary,
                                        const fs::path& file, CanonicalForm form) {
  DataOptions options;
  options.objective = form == CanonicalForm::orpo ? Objective::orpo : Objective::sft;
  options.max_seq_len = parse_integer("--max-seq-len", wanted.max_seq_len, 2, INT32_MAX);
  options.unmapped = Unmapped::skip;
  const std::vector<std::string> paths = {file.string()};
  try {
    const Dataset data = Dataset::open(paths, vocabulary, JinjaTemplate::chatml(), options);
    return TokenCounts{options, data.survey()};
  } catch (const Error& error) {
    note(fmt::format("lengths are not counted: {}", error.what()));
    return std::nullopt;
  }
}

Json report_json(const PrepareReport& report, const fs::path& output, const fs::path& validation,
                 const std::optional<TokenCounts>& tokens) {
  Json refusals = Json::array();
  for (const Refusal& refusal : report.refusals)
    refusals.push_back(
        {{"reason", refusal.reason}, {"count", refusal.count}, {"first", refusal.places}});
  const bool splits = report.n_validation > 0;
  return {{"output", printable_path(output.string())},
          {"validation_output", splits ? Json(printable_path(validation.string())) : Json(nullptr)},
          {"read", report.n_read},
          {"written", report.n_written},
          {"validation", report.n_validation},
          {"duplicates", report.n_duplicates},
          {"refused", report.n_refused},
          {"refusals", std::move(refusals)},
          {"turns", report.n_turns},
          {"max_turns", report.max_turns},
          {"tokens", tokens ? survey_json(tokens->survey) : Json(nullptr)}};
}

std::string report_text(const PrepareReport& report, const fs::path& output,
                        const fs::path& validation, const std::optional<TokenCounts>& tokens) {
  std::string text;
  const auto line = [&](std::string_view what, const std::string& value) {
    text += fmt::format("{:<14}{}\n", what, value);
  };
  line("read", fmt::format("{} rows", report.n_read));
  line("written", fmt::format("{} to {}", report.n_written, printable_path(output.string())));
  if (report.n_validation > 0)
    line("validation",
         fmt::format("{} to {}", report.n_validation, printable_path(validation.string())));
  line("duplicates", fmt::format("{}, left out", report.n_duplicates));
  line("refused", std::to_string(report.n_refused));
  for (const Refusal& refusal : report.refusals) {
    text += fmt::format("  {} x {}\n", refusal.count, refusal.reason);
    for (const std::string& place : refusal.places) text += fmt::format("    {}\n", place);
  }
  const std::int64_t n_kept = report.n_written + report.n_validation;
  if (report.n_turns > 0)
    line("turns", fmt::format("{:.1f} a row, at most {}",
                              static_cast<double>(report.n_turns) / static_cast<double>(n_kept),
                              report.max_turns));
  if (tokens) text += counts_text(tokens->survey, tokens->options);
  return text;
}

int run_command(const PrepareCommand& wanted) try {
  const PrepareOptions options = parsed(wanted);
  if (wanted.file.empty() && wanted.inputs.size() > 1)
    throw UsageError("expected --output for several inputs, got none");
  std::optional<Vocabulary> vocabulary;
  if (!wanted.tokenizer.empty())
    vocabulary = open_vocabulary({.tokenizer = wanted.tokenizer}, wanted.output);
  std::vector<fs::path> files;
  for (const std::string& input : wanted.inputs)
    std::ranges::copy(files_of(input, wanted.split), std::back_inserter(files));
  const fs::path output =
      wanted.file.empty() ? default_output(wanted.inputs.at(0), wanted.split) : wanted.file;
  const fs::path validation = validation_name(output);

  std::optional<PrepareReport> report;
  {
    const std::atomic<bool>& interrupted = catch_interrupts();
    ProgressLine progress("preparing", !wanted.output.quiet);
    constexpr std::uint64_t kSteps = 1000;
    report = prepare(
        files, output, validation, options,
        [&](double share) { progress.update(static_cast<std::uint64_t>(share * kSteps), kSteps); },
        &interrupted);
  }
  if (!report) return kInterrupted;
  std::optional<TokenCounts> tokens;
  if (vocabulary) tokens = count_tokens(wanted, *vocabulary, output, options.to);
  print(wanted.json ? report_json(*report, output, validation, tokens).dump(2) + "\n"
                    : report_text(*report, output, validation, tokens));
  return kDone;
} catch (const Error& error) {
  if (std::string_view(error.what()).starts_with("val-split: "))
    throw UsageError(fmt::format("--{}", error.what()));
  throw;
}

}  // namespace

void add_prepare(CommandLine& line) {
  auto wanted = std::make_shared<PrepareCommand>();
  Command& command = line.add_command("prepare", "Convert files of examples to JSONL for training");
  command
      .add("INPUT", wanted->inputs,
           "A JSONL or JSON file, or a data set in the hub cache: owner/name:FILE or owner/name")
      .required()
      .not_empty();
  command.add("--format,-f,--to", wanted->to, "What to write: messages, alpaca, orpo or text")
      .type("FORM")
      .show_default();
  command
      .add("--from", wanted->from,
           "What to read: messages, sharegpt, alpaca, openorca, completion, text, orpo, "
           "ultrafeedback, hh-rlhf, or auto: by the keys of each row")
      .type("FORM")
      .show_default();
  command.add("--output,-o", wanted->file, "The JSONL file to write (default: INPUT_SPLIT.jsonl)")
      .type("FILE")
      .not_empty();
  command.add("--split", wanted->split, "The split of a data set of the hub")
      .show_default()
      .not_empty();
  command.add("--limit", wanted->limit, "The most rows to read").type("N").not_empty();
  command
      .add("--val-split", wanted->val_split,
           "The share of rows that a second file gets, for validation")
      .type("SHARE")
      .not_empty();
  command.add("--seed", wanted->seed, "Decides which rows are for validation").show_default();
  command
      .add("--tokenizer,-t", wanted->tokenizer,
           "Count tokens with this tokenizer: a file, a folder or a hub id")
      .type("PATH")
      .not_empty();
  command.add("--max-seq-len", wanted->max_seq_len, "Count the rows with more tokens than this")
      .type("N")
      .show_default();
  command.add("--json", wanted->json, "Print the counts as a JSON object");
  add_output_options(command, wanted->output);
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
