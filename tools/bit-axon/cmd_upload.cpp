// bit-axon upload: sends a model to a repository of a hub.
#include <algorithm>
#include <set>

#include "bitaxon/error.h"
#include "console.h"
#include "formats/json.h"
#include "hub/upload.h"
#include "hub_cache/hub_names.h"
#include "model_card.h"
#include "options.h"
#include "platform/optional_file.h"
#include "platform/paths.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "session.h"
#include "session/model_source.h"

namespace bitaxon::tool {
namespace {

namespace fs = std::filesystem;

struct UploadCommand {
  ModelOptions model{.flag = "MODEL"};
  std::string repository, base_model, results;
  std::string message = "Upload a model with bit-axon", timeout = "60";
  bool is_private = false, json = false;
  OutputOptions say;
};

/// Parses "mmlu=0.45,gsm8k=0.32". The values stay as they are written.
std::vector<std::pair<std::string, std::string>> parse_results(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> results;
  for (std::size_t begin = 0; begin <= text.size() && !text.empty();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string pair = text.substr(begin, end - begin);
    const std::size_t equals = pair.find('=');
    const auto is_plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-' || c == '.';
    };
    if (equals == 0 || equals == pair.npos ||
        !std::all_of(pair.begin(), pair.begin() + static_cast<std::ptrdiff_t>(equals), is_plain))
      throw UsageError(fmt::format("--benchmark-results: expected NAME=NUMBER,..., got \"{}\"",
                                   printable(pair)));
    constexpr double kMost = 1e9;
    parse_number("--benchmark-results " + pair.substr(0, equals), pair.substr(equals + 1), -kMost,
                 kMost);
    results.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    begin = end + 1;
  }
  return results;
}

/// Collects the files to upload, each name once.
class Files {
 public:
  /// Adds the file of this name if the folder has it.
  void add_from(const fs::path& folder, const std::string& name) {
    if (optional_file_exists(folder / name) && names_.insert(name).second)
      files_.push_back({.name = name, .path = folder / name});
  }
  void add_text(const std::string& name, std::string text) {
    if (names_.insert(name).second) files_.push_back({.name = name, .text = std::move(text)});
  }
  bool has(const std::string& name) const { return names_.contains(name); }
  std::vector<hub::UploadFile> take() { return std::move(files_); }

 private:
  std::set<std::string> names_;
  std::vector<hub::UploadFile> files_;
};

void add_tokenizer(const fs::path& named, Files& files) {
  const bool is_folder = fs::is_directory(named);
  const fs::path folder = is_folder ? named : named.parent_path();
  if (!is_folder) files.add_from(folder, named.filename().string());
  for (const char* name :
       {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt"})
    files.add_from(folder, name);
}

std::vector<hub::UploadFile> files_of(const UploadCommand& wanted, const ModelFiles& model,
                                      const Inspection& inspection) {
  Files files;
  std::set<std::string> weights;
  for (const TensorInfo& tensor : inspection.checkpoint->tensors())
    weights.insert(inspection.checkpoint->file_name(tensor));
  for (const fs::path path : weights) files.add_from(path.parent_path(), path.filename().string());
  files.add_from(model.folder, "model.safetensors.index.json");
  // Generation settings and the chat template belong to the model: the ids of another tokenizer's
  // settings are not those of a model with mapped ids.
  for (const char* name : {"config.json", "generation_config.json", "chat_template.jinja"})
    files.add_from(model.folder, name);
  add_tokenizer(wanted.model.tokenizer.empty()
                    ? model.folder
                    : find_tokenizer_path(expand_user(wanted.model.tokenizer), "--tokenizer"),
                files);
  if (!files.has("tokenizer.json") && !files.has("tokenizer.model"))
    throw Error(ErrorKind::io,
                fmt::format("{}: expected tokenizer.json or tokenizer.model, found none; name a "
                            "tokenizer with --tokenizer",
                            printable_path(model.folder.string())));
  const auto results = parse_results(wanted.results);
  const bool has_card = optional_file_exists(model.folder / "README.md");
  if (has_card && !results.empty())
    throw UsageError(
        fmt::format("--benchmark-results: expected a model without a README.md, which "
                    "would be the model card, got {}",
                    printable_path((model.folder / "README.md").string())));
  files.add_from(model.folder, "README.md");
  const auto& metadata = inspection.checkpoint->metadata();
  const auto base = metadata.find("base_model");
  const std::string known =
      base != metadata.end() && hub::is_repository(base->second) ? base->second : std::string();
  files.add_text("README.md",
                 card_text({.model = inspection,
                            .repository = wanted.repository,
                            .base_model = wanted.base_model.empty() ? known : wanted.base_model,
                            .results = results}));
  return files.take();
}

void print_report(const UploadCommand& wanted, const hub::UploadReport& report) {
  if (wanted.json) {
    const Json json = {{"repository", wanted.repository},
                       {"url", report.url},
                       {"commit", report.commit.empty() ? Json() : Json(report.commit)},
                       {"created", report.is_new},
                       {"n_changed_files", report.n_changed},
                       {"sent_bytes", report.sent_bytes},
                       {"total_bytes", report.total_bytes}};
    return print(json.dump(2) + "\n");
  }
  if (report.commit.empty() && !wanted.say.quiet) note("the repository has all files already");
  print(report.url + "\n");
}

int run_command(const UploadCommand& wanted) {
  if (!hub::is_repository(wanted.repository))
    throw UsageError(
        fmt::format("--repo-id: expected owner/name, got \"{}\"", printable(wanted.repository)));
  if (!wanted.base_model.empty() && !hub::is_repository(wanted.base_model))
    throw UsageError(
        fmt::format("--base-model: expected owner/name, got \"{}\"", printable(wanted.base_model)));
  parse_results(wanted.results);
  const int timeout = static_cast<int>(parse_integer("--timeout", wanted.timeout, 1, 3600));
  const ModelSource source = find_named_model(wanted.model, wanted.say);
  const Inspection inspection = inspect_files(source.files);
  const hub::UploadRequest request{.repository = wanted.repository,
                                   .is_private = wanted.is_private,
                                   .message = wanted.message,
                                   .files = files_of(wanted, source.files, inspection)};
  const hub::HttpOptions options{.timeout_seconds = timeout, .interrupted = &catch_interrupts()};
  ProgressLine progress("upload", !wanted.say.quiet);
  const hub::UploadWatch watch{
      .progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
      .note =
          [&](const std::string& line) {
            if (wanted.say.quiet) return;
            progress.clear();
            note(line);
          }};
  try {
    const hub::UploadReport report = hub::upload(request, options, watch);
    progress.clear();
    print_report(wanted, report);
  } catch (const Error& error) {
    // An invalid --commit-message or variable is a usage error.
    if (error.kind() == ErrorKind::invalid_argument) throw UsageError(error.what());
    throw;
  } catch (const hub::Interrupted&) {
    if (!wanted.say.quiet) note("interrupted; the same command sends what is missing");
    return kInterrupted;
  }
  return kDone;
}

}  // namespace

void add_upload(CommandLine& line) {
  auto wanted = std::make_shared<UploadCommand>();
  Command& command =
      line.add_command("upload", "Send a model and its model card to a repository of a hub");
  command.add("MODEL", wanted->model.model, "A model directory, a safetensors file, or a hub id")
      .required()
      .not_empty();
  command.add("-r,--repo-id", wanted->repository, "The repository, made if it does not exist")
      .type("OWNER/NAME")
      .required()
      .not_empty();
  command
      .add("-t,--tokenizer", wanted->model.tokenizer,
           "A tokenizer file, a folder, or a hub id in the hub cache (default: the model's own)")
      .type("TOKENIZER")
      .not_empty();
  command.add("--private", wanted->is_private, "Make a new repository private");
  command.add("-m,--commit-message", wanted->message, "One line on the change")
      .type("TEXT")
      .not_empty()
      .show_default();
  command
      .add("--benchmark-results", wanted->results,
           "Results for the model card, such as mmlu=0.45,gsm8k=0.32")
      .type("LIST")
      .not_empty();
  command
      .add(
          "--base-model", wanted->base_model,
          "The hub id that the model card names as the base (default: what port-weights has noted)")
      .type("OWNER/NAME")
      .not_empty();
  command.add("--timeout", wanted->timeout, "How long a server may be silent before the next try")
      .type("SECONDS")
      .not_empty()
      .show_default();
  command.add("--json", wanted->json, "Print one JSON object");
  add_output_options(command, wanted->say);
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
