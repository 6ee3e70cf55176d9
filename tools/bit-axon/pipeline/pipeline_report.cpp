#include "pipeline/pipeline_report.h"

#include <fmt/format.h>

#include <cmath>

#include "platform/file.h"
#include "platform/printable.h"
#include "training/run/progress_lines.h"

namespace bitaxon::tool {
namespace {

constexpr double kMilliseconds = 1000;

double total_seconds(const std::vector<FinishedStep>& steps) {
  double seconds = 0;
  for (const FinishedStep& step : steps) seconds += step.seconds;
  return std::round(seconds * kMilliseconds) / kMilliseconds;
}

std::string value_text(const Json& value) {
  if (value.is_number_float()) return fmt::format("{:.4f}", value.get<double>());
  return value.is_string() ? printable(value.get<std::string>()) : printable_json(value);
}

}  // namespace

Json results_json(const std::vector<FinishedStep>& steps, const Json& artifacts,
                  const std::string& error) {
  Json metrics = Json::object();
  for (const FinishedStep& step : steps)
    for (const auto& [name, value] : step.metrics.items())
      if (!value.is_string()) metrics[name] = value;
  Json results = {{"total_time_seconds", total_seconds(steps)}, {"metrics", std::move(metrics)}};
  if (!error.empty()) {
    results["errors"] = Json::array({error});
    return results;
  }
  // The program computes no benchmarks. Readers of the original's file expect the key.
  results["benchmarks"] = Json::array();
  results["artifacts"] = artifacts;
  return results;
}

std::string log_text(const std::vector<FinishedStep>& steps, const std::string& error) {
  std::string text;
  for (const FinishedStep& step : steps) {
    text += fmt::format("{}: {:.1f} s\n  {}\n", printable(step.name), step.seconds,
                        printable(step.command, std::size_t{1} << 16));
    for (const auto& [name, value] : step.metrics.items())
      text += fmt::format("  {}: {}\n", printable(name), value_text(value));
  }
  text += error.empty() ? fmt::format("completed in {:.1f} s\n", total_seconds(steps))
                        : fmt::format("error: {}\n", error);
  return text;
}

std::string results_text(const Json& results) {
  const Json& metrics = results.at("metrics");
  std::string text;
  const auto line = [&](const char* what, const std::string& value) {
    text += fmt::format("{:<18}{}\n", what, value);
  };
  for (const auto& [what, name] : {std::pair("SFT loss", "sft_loss"),
                                   {"perplexity", "ppl"},
                                   {"tokens per second", "tok_s"},
                                   {"ORPO loss", "orpo_loss"},
                                   {"final perplexity", "final_ppl"}})
    if (metrics.contains(name)) line(what, value_text(metrics[name]));
  line("time", duration_text(results.at("total_time_seconds").get<double>()));
  line("final model", results.at("artifacts").at("final_model").get<std::string>());
  return text;
}

Json update_list(const std::filesystem::path& metrics_file) {
  constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 30;
  const std::string text = read_whole_file(metrics_file, kMaxBytes);
  Json list = Json::array();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.empty()) continue;
    const Json json = parse_json(line, printable_path(metrics_file.string()));
    if (json.is_object() && json.contains("step") && json.contains("loss") &&
        json.contains("grad_norm") && !json.contains("event"))
      list.push_back(
          {{"step", json["step"]}, {"loss", json["loss"]}, {"grad_norm", json["grad_norm"]}});
  }
  return list;
}

}  // namespace bitaxon::tool
