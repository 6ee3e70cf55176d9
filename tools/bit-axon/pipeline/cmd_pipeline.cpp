// bit-axon pipeline: trains, merges, quantizes and measures one model, by the other commands.
#include <chrono>
#include <utility>

#include "bitaxon/error.h"
#include "bitaxon/memory.h"
#include "console.h"
#include "hub/upload.h"
#include "pipeline/pipeline_folder.h"
#include "pipeline/pipeline_report.h"
#include "pipeline/pipeline_steps.h"
#include "pipeline/run_step.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "session.h"
#include "training/run/resume.h"

namespace bitaxon::tool {
namespace {

namespace fs = std::filesystem;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string command_of(const Step& step) {
  return step.words.empty() ? "# " + step.what : shell_line(step.words);
}

std::string place_of(const Step& step) {
  return fmt::format("stage {}, {}", step.stage,
                     step.words.empty() ? step.name : step.words.front());
}

/// Whether a finished step of the folder depends on a setting. The last step before the trainings
/// checks all that they need.
bool has_used(const PipelineFolder& folder, std::string_view setting) {
  for (const std::string_view kind : {"sft", "orpo"})
    for (const std::string_view part : {"-data", "-split", "-limit"})
      if (setting == fmt::format("{}{}", kind, part))
        return folder.has(fmt::format("{}-data", kind));
  for (const std::string_view of_training :
       {"max-steps", "orpo-steps", "lora-rank", "batch-size", "learning-rate"})
    if (setting == of_training) return folder.has("orpo-check");
  return !folder.steps().empty();
}

/// Settings that are not given are those of the folder. Throws UsageError if a given one differs and a
/// step has been finished with the other.
void continue_with(const PipelineFolder& folder, PipelineFlags& flags) {
  if (folder.settings().is_null()) return;
  flags.settings.fill(folder.settings(), printable_path(folder.state_file().string()));
  const Json now = flags.settings.values();
  std::vector<std::string_view> names;
  for (const auto& [name, value] : now.items())
    if (has_used(folder, name)) names.push_back(name);
  try {
    compare_settings(folder.settings(), now, names);
  } catch (const Error& error) {
    throw UsageError(fmt::format("{}; another --output-dir begins another pipeline", error.what()));
  }
}

PipelineBase base_of(const PipelineFlags& flags) {
  if (flags.model.model.empty()) return {};
  const ModelSource source = find_named_model(flags.model, flags.say);
  return {flags.model.model, source.repository, source.files.weights};
}

/// Rows that prepare has left out.
void note_refusals(const Json& report, const PipelineFlags& flags) {
  if (flags.say.quiet || !report.contains("refusals")) return;
  for (const Json& refusal : report["refusals"]) {
    const auto n = refusal.at("count").get<std::int64_t>();
    note(fmt::format("{} row{} left out: {}", n, n == 1 ? "" : "s",
                     refusal.at("reason").get<std::string>()));
  }
}

enum class StepEnd : std::uint8_t { done, interrupted };

class Pipeline {
 public:
  Pipeline(const PipelineFlags& flags, PipelineFolder& folder, PipelineBase base)
      : flags_(flags), folder_(folder), base_(std::move(base)), interrupted_(catch_interrupts()) {}

  int run() {
    for (const Step& step : pipeline_steps(flags_, base_)) {
      if (folder_.has(step.name)) continue;
      say_stage(step);
      if (run_recorded(step) == StepEnd::interrupted) {
        report_failure(place_of(step) + ": interrupted");
        if (!flags_.say.quiet) note("interrupted; the same command continues");
        return kInterrupted;
      }
    }
    const Json results = write_reports("");
    print(flags_.json ? results.dump(2) + "\n" : results_text(results));
    return kDone;
  }

 private:
  void say_stage(const Step& step) {
    if (flags_.say.quiet) return;
    if (step.stage != said_)
      note(fmt::format("stage {} of {}: {}", step.stage, kStages, stage_name(step.stage)));
    said_ = step.stage;
    if (step.words.empty()) note(step.what);
  }

  /// Runs a step. If it fails, the reports say so, and the error names the stage.
  StepEnd run_recorded(const Step& step) {
    const std::string place = place_of(step) + ": ";
    try {
      return run_step(step);
    } catch (const UsageError& error) {
      report_failure(place + error.what());
      throw UsageError(place + error.what());
    } catch (const OutOfMemory& error) {
      report_failure(place + error.what());
      throw;
    } catch (const Error& error) {
      report_failure(place + error.what());
      throw Error(error.kind(), place + error.what());
    } catch (const std::exception& error) {
      report_failure(place + error.what());
      throw;
    }
  }

  StepEnd run_step(const Step& step) {
    const double begin = now_seconds();
    FinishedStep finished{.name = step.name, .command = command_of(step)};
    // The program may have ended after the command and before the state was written.
    const bool is_made = !step.makes.empty() && fs::exists(step.makes / "config.json");
    if (!is_made && !step.words.empty()) {
      const CommandResult result = run_words(step.words);
      if (result.status == kInterrupted) return StepEnd::interrupted;
      if (result.status != kDone) fail(result);
      const Json report = Json::parse(result.out);
      note_refusals(report, flags_);
      if (step.metrics) finished.metrics = step.metrics(report);
    } else if (!is_made && !step.work(interrupted_)) {
      return StepEnd::interrupted;
    }
    finished.seconds = now_seconds() - begin;
    folder_.add(std::move(finished));
    if (step.name == "sft") write_updates();
    return interrupted_ ? StepEnd::interrupted : StepEnd::done;
  }

  /// A command that ends without success and without an error has said on stderr why.
  [[noreturn]] static void fail(const CommandResult& result) {
    const Json report = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    const std::string end = report.is_object() ? report.value("end", "unknown") : "unknown";
    throw Error(ErrorKind::device, fmt::format("expected all updates, got an early end: {}", end));
  }

  void write_updates() const {
    write_text_file(folder_.path() / "training_metrics.json",
                    update_list(folder_.path() / "sft/metrics.jsonl").dump(2) + "\n");
  }

  Json write_reports(const std::string& error) const {
    Json results = results_json(folder_.steps(), pipeline_artifacts(flags_, base_), error);
    write_text_file(folder_.path() / "pipeline_results.json", results.dump(2) + "\n");
    write_text_file(folder_.path() / "pipeline_log.txt", log_text(folder_.steps(), error));
    return results;
  }

  void report_failure(const std::string& error) const {
    try {
      write_reports(error);
    } catch (const Error& second) {
      // A full disk also ends the reports. The error of the step says more.
      if (flags_.say.verbose) note(second.what());
    }
  }

  const PipelineFlags& flags_;
  PipelineFolder& folder_;
  PipelineBase base_;
  const std::atomic<bool>& interrupted_;
  int said_ = 0;
};

int print_commands(const PipelineFlags& flags) {
  for (const Step& step : pipeline_steps(flags, base_of(flags))) print(command_of(step) + "\n");
  return kDone;
}

/// Finds before the work that a later stage could not do its part.
void check_later_stages(const PipelineFlags& flags) {
  if (!flags.text.empty()) File::open(flags.text);
  if (flags.repository.empty()) return;
  try {
    hub::check_upload_access();
  } catch (const Error& error) {
    // An invalid environment variable.
    if (error.kind() == ErrorKind::invalid_argument) throw UsageError(error.what());
    throw;
  }
}

int run_command(PipelineFlags& flags) {
  check_pipeline_flags(flags);
  if (flags.dry_run) return print_commands(flags);
  check_later_stages(flags);
  PipelineFolder folder(flags.output);
  continue_with(folder, flags);
  check_pipeline_flags(flags);
  PipelineBase base = base_of(flags);
  folder.begin(flags.settings.values());
  if (!folder.steps().empty() && !flags.say.quiet)
    note(fmt::format("{}: {} steps are done, the last is {}",
                     printable_path(folder.path().string()), folder.steps().size(),
                     printable(folder.steps().back().name)));
  return Pipeline(flags, folder, std::move(base)).run();
}

}  // namespace

void add_pipeline(CommandLine& line) {
  Command& command = line.add_command(
      "pipeline", "Train, merge, quantize and measure one model: SFT, then ORPO, then 4 bits");
  auto flags = std::make_shared<PipelineFlags>(command);
  add_pipeline_flags(command, *flags);
  command.runs([flags] { return run_command(*flags); });
}

}  // namespace bitaxon::tool
