// bit-axon train: trains an adapter of a model on examples.
#include <cmath>

#include "bitaxon/error.h"
#include "console.h"
#include "formats/json.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "platform/standard_streams.h"
#include "platform/terminal.h"
#include "train/train_flags.h"
#include "training/data/data_report.h"
#include "training/run/progress_lines.h"

namespace bitaxon::tool {
namespace {

/// The lines and the progress of a run, as the program shows them.
class Listener {
 public:
  Listener(const OutputOptions& say, const std::atomic<bool>& interrupted)
      : is_quiet_(say.quiet), interrupted_(interrupted) {}

  TrainListener listener() {
    return {.progress =
                [this](std::string_view line) {
                  line_.reset();
                  if (!is_quiet_) write_standard_error(fmt::format("{}\n", line));
                },
            .note =
                [this](std::string_view line) {
                  line_.reset();
                  if (!is_quiet_) note(line);
                },
            .on_share =
                [this](std::string_view what, double share) {
                  if (what != what_) line_.emplace(what_ = what, !is_quiet_);
                  if (line_) line_->update(static_cast<std::uint64_t>(1000 * share), 1000);
                },
            .interrupted = interrupted_};
  }
  void clear() { line_.reset(); }

 private:
  bool is_quiet_;
  const std::atomic<bool>& interrupted_;
  std::string what_;
  std::optional<ProgressLine> line_;
};

// ---- --dry-run

void print_plan(const TrainPlan& plan, bool json) {
  const std::vector<MemoryLine> memory = memory_of(plan);
  std::uint64_t total = 0;
  Json lines = Json::array();
  std::string table;
  for (const MemoryLine& line : memory) {
    total += line.bytes;
    lines.push_back({{"what", line.what}, {"bytes", line.bytes}});
    table += fmt::format("  {:<40}{:>12}\n", line.what, bytes_text(line.bytes));
  }
  if (json) {
    const Json report = {{"data", survey_json(plan.survey)},
                         {"max_steps", plan.request.loop.optimizer.max_steps},
                         {"memory", lines},
                         {"memory_bytes", total}};
    return print(report.dump(2) + "\n");
  }
  print(survey_text(plan.survey, plan.request.data_options));
  print(fmt::format("memory\n{}  {:<40}{:>12}\n", table, "total", bytes_text(total)));
  print(example_text(plan.training, 0, wants_colour(Stream::standard_output)) + "\n");
}

// ---- the end of a run

std::string end_name(RunEnd end) {
  constexpr const char* kNames[] = {"finished", "patience", "interrupted", "too hot", "not finite"};
  return kNames[static_cast<std::size_t>(end)];
}

Json best_json(const std::optional<BestEvaluation>& best) {
  if (!best) return nullptr;
  return {{"step", best->step}, {"loss", finite_or_null(best->loss)}};
}

void print_summary(const RunResult& result, std::int64_t max_steps, bool json) {
  const RunState& state = result.state;
  const std::string adapter = printable_path(result.adapter.string());
  if (json) {
    const Json summary = {{"step", state.step},
                          {"loss", finite_or_null(state.loss)},
                          {"grad_norm", finite_or_null(state.grad_norm)},
                          {"adapter", adapter},
                          {"seconds", state.seconds},
                          {"tokens", state.tokens},
                          {"target_tokens", state.target_tokens},
                          {"best", best_json(state.best)},
                          {"skipped", state.skipped},
                          {"pause_seconds", state.pause_seconds},
                          {"end", end_name(result.end)}};
    return print(summary.dump(2) + "\n");
  }
  const auto line = [](std::string_view what, const std::string& value) {
    print(fmt::format("{:<12}{}\n", what, value));
  };
  line("step", fmt::format("{} of {}", state.step, max_steps));
  line("loss", fmt::format("{:.4f}", state.loss));
  line("grad norm", fmt::format("{:.3f}", state.grad_norm));
  if (state.best)
    line("best", fmt::format("{:.4f} at step {}", state.best->loss, state.best->step));
  if (state.skipped > 0) line("dropped", fmt::format("{} updates", state.skipped));
  line("time", fmt::format("{}, of which {} of pauses", duration_text(state.seconds),
                           duration_text(state.pause_seconds)));
  line("adapter", adapter);
}

/// Says why a run ended early, and returns the exit status.
int status_of(const RunResult& result) {
  switch (result.end) {
    case RunEnd::finished:
      return kDone;
    case RunEnd::patience:
      note(fmt::format("the loss on the validation data has not fallen since step {}",
                       result.state.best ? result.state.best->step : 0));
      return kDone;
    case RunEnd::interrupted:
      note(fmt::format("interrupted; step {} is saved, --resume continues", result.state.step));
      return kInterrupted;
    case RunEnd::too_hot:
      note(fmt::format("stopped at {:.0f} C; step {} is saved, --resume continues",
                       result.temperature, result.state.step));
      return kFailed;
    case RunEnd::not_finite:
      note(
          fmt::format("expected finite updates, got several in a row that are not; step {} is the "
                      "last good one; try a lower --learning-rate",
                      result.state.step));
      return kFailed;
  }
  return kFailed;
}

/// A setting that does not fit the model or the checkpoint is a mistake in the command line. The
/// library names settings without dashes.
[[noreturn]] void rethrow(const Error& error, const TrainFlags& flags) {
  const std::string_view what = error.what();
  if (error.kind() != ErrorKind::invalid_argument) throw;
  if (what.starts_with("--") || what.starts_with("DATA: ")) throw UsageError(error.what());
  if (flags.settings.has(what.substr(0, what.find(':'))))
    throw UsageError(fmt::format("--{}", what));
  throw;
}

int run_command(TrainFlags& flags) try {
  TrainRequest request = train_request(flags);
  const bool is_preset_ignored =
      (flags.model.config_small || flags.model.config_medium) && !flags.model.model.empty();
  const std::atomic<bool>& interrupted = catch_interrupts();
  Listener shown(flags.say, interrupted);
  const TrainListener listener = shown.listener();
  if (is_preset_ignored)
    listener.note(
        "--config-small and --config-medium are ignored: the model's own config.json is "
        "used");
  TrainPlan plan = plan_training(std::move(request), listener);
  shown.clear();
  if (interrupted) return kInterrupted;
  for (const std::string& line : plan.notes) listener.note(line);
  for (const std::string& line : plan.warnings) listener.note("warning: " + line);
  if (flags.dry_run) {
    print_plan(plan, flags.json);
    return kDone;
  }
  const RunResult result = run_plan(plan, listener);
  print_summary(result, plan.request.loop.optimizer.max_steps, flags.json);
  return status_of(result);
} catch (const Error& error) {
  rethrow(error, flags);
}

}  // namespace

void add_train(CommandLine& line) {
  Command& command = line.add_command("train", "Train a LoRA or DoRA adapter of a model");
  auto flags = std::make_shared<TrainFlags>(command);
  add_train_flags(command, *flags);
  command.runs([flags] { return run_command(*flags); });
}

}  // namespace bitaxon::tool
