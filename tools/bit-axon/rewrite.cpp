#include "rewrite.h"

#include "console.h"
#include "formats/json.h"
#include "platform/printable.h"
#include "session/report_json.h"

namespace bitaxon::tool {
namespace {

/// One row of the table. `parameters` is the number to show, which may be less than the number of
/// stored parameters.
std::string row_of(const std::string& name, const PartReport& part, std::int64_t parameters) {
  const std::optional<double> kept = part.kept_change();
  return fmt::format(
      "{:<14}{:>11}{:>13}{:>13}{:>10.2f}{:>11}{:>9}\n", name,
      count_text(static_cast<double>(parameters)), bytes_text(part.bytes_before),
      bytes_text(part.bytes_after),
      static_cast<double>(part.bytes_after) * 8 / static_cast<double>(part.parameters),
      part.error_squares == 0 ? "0" : fmt::format("{:.4f}", part.relative_error()),
      kept ? fmt::format("{:.1f} %", 100 * *kept) : "");
}

void print_report(const RewriteCommand& command, const RewriteReport& report) {
  if (command.json) {
    Json json;
    json["output"] = printable_path(command.output.string());
    json.update(rewrite_json(report));
    print(json.dump(2) + "\n");
    return;
  }
  print(fmt::format("{:<14}{:>11}{:>13}{:>13}{:>10}{:>11}{:>9}\n", "part", "parameters", "before",
                    "after", "bits each", "error", report.total.kept_change() ? "kept" : ""));
  for (const auto& [name, part] : report.parts) print(row_of(name, part, part.parameters));
  print(row_of("total", report.total, report.n_parameters));
  print("error: ||w - w'|| / ||w|| of the quantized matrices\n");
  if (report.total.kept_change())
    print("kept: the share of the adapter's change that is left after quantization\n");
  print(fmt::format("{}\n", printable_path(command.output.string())));
}

}  // namespace

void add_ignored_presets(Command& command, ModelOptions& options) {
  constexpr const char* kHelp = "Ignored: the model's own config.json is used";
  const Flag small = command.add("--config-small", options.config_small, kHelp);
  command.add("--config-medium", options.config_medium, kHelp).excludes(small);
}

void refuse_own_input(const ModelFiles& files, const std::filesystem::path& output) {
  if (is_own_input(files, output))
    throw UsageError(fmt::format("--output {}: expected another folder than the model's own",
                                 printable_path(output.string())));
}

int write_and_report(const RewriteCommand& command, Rewrite rewrite,
                     const std::atomic<bool>& interrupted) {
  if (!command.say.quiet)
    for (const auto* warnings : {&rewrite.warnings(), &command.warnings})
      for (const std::string& warning : *warnings) note("warning: " + warning);
  std::optional<RewriteReport> report;
  {
    ProgressLine progress(command.doing, !command.say.quiet);
    report = rewrite.write(
        command.output,
        [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
        &interrupted);
  }
  if (!report) return kInterrupted;
  print_report(command, *report);
  return kDone;
}

}  // namespace bitaxon::tool
