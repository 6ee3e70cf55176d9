#include "rewrite.h"

#include "bitaxon/memory.h"
#include "console.h"
#include "formats/json.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

using Parts = std::map<std::string, PartReport>;

Json part_json(const PartReport& part) {
  return {{"parameters", part.parameters},
          {"bytes_before", part.bytes_before},
          {"bytes_after", part.bytes_after},
          {"relative_error", part.relative_error()}};
}

/// `parameters`: those of the model; more may be stored.
std::string row_of(const std::string& name, const PartReport& part, std::int64_t parameters) {
  return fmt::format(
      "{:<14}{:>11}{:>13}{:>13}{:>10.2f}{:>11}\n", name,
      count_text(static_cast<double>(parameters)), bytes_text(part.bytes_before),
      bytes_text(part.bytes_after),
      static_cast<double>(part.bytes_after) * 8 / static_cast<double>(part.parameters),
      part.error_squares == 0 ? "0" : fmt::format("{:.4f}", part.relative_error()));
}

void print_report(const Rewrite& rewrite, const Parts& parts) {
  PartReport total;
  for (const auto& [name, part] : parts) total += part;
  // Count as inspect does: the parameters of a tied head are those of the embedding.
  std::int64_t parameters = total.parameters;
  if (const auto head = parts.find("head"); head != parts.end() && rewrite.spec.has_tied_head)
    parameters -= head->second.parameters;
  if (rewrite.json) {
    Json json;
    json["output"] = printable_path(rewrite.output.string());
    for (const auto& [name, part] : parts) json["parts"][name] = part_json(part);
    json["total"] = part_json(total);
    json["total"]["parameters"] = parameters;
    print(json.dump(2) + "\n");
    return;
  }
  print(fmt::format("{:<14}{:>11}{:>13}{:>13}{:>10}{:>11}\n", "part", "parameters", "before",
                    "after", "bits each", "error"));
  for (const auto& [name, part] : parts) print(row_of(name, part, part.parameters));
  print(row_of("total", total, parameters));
  print("error: ||w - w'|| / ||w|| of the quantized matrices\n");
  print(fmt::format("{}\n", printable_path(rewrite.output.string())));
}

}  // namespace

void add_ignored_presets(Command& command, ModelOptions& options) {
  constexpr const char* kHelp = "Ignored: the model's own config.json is used";
  const Flag small = command.add("--config-small", options.config_small, kHelp);
  command.add("--config-medium", options.config_medium, kHelp).excludes(small);
}

std::filesystem::path folder_beside(const ModelSource& source, const std::string& suffix) {
  namespace fs = std::filesystem;
  if (!source.repository.empty())
    return source.repository.substr(source.repository.find('/') + 1) + suffix;
  fs::path folder = source.files.folder.lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // "model/"
  // A suffix cannot be added to "", "." and "..".
  const bool is_named = !folder.empty() && folder.filename() != "." && folder.filename() != "..";
  if (!is_named) folder = fs::canonical(source.files.folder);
  folder += suffix;
  return folder;
}

void refuse_own_input(const ModelFiles& files, const std::filesystem::path& output) {
  std::error_code error;
  const auto place = [&](const std::filesystem::path& path) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path), error);
  };
  if (place(output) == place(files.folder) || place(output) == place(files.weights))
    throw UsageError(fmt::format("--output {}: expected another folder than the model's own",
                                 printable_path(output.string())));
}

int rewrite(const Rewrite& rewrite, std::vector<WeightEdit> edits,
            const std::vector<std::string>& warnings, const std::atomic<bool>& interrupted) {
  if (!rewrite.say.quiet)
    for (const std::string& warning : warnings) note("warning: " + warning);
  std::optional<Parts> parts;
  {
    ProgressLine progress(rewrite.doing, !rewrite.say.quiet);
    parts = write_model(
        {rewrite.files, rewrite.checkpoint, rewrite.spec, rewrite.config_text, std::move(edits)},
        rewrite.output,
        [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
        interrupted);
  }
  if (!parts) return kInterrupted;
  print_report(rewrite, *parts);
  return kDone;
}

}  // namespace bitaxon::tool
