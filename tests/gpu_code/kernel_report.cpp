// Prints what the compilers of real GPUs make of the shaders, without a GPU (docs/gpu-code.md).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <thread>

#include "bitaxon/error.h"
#include "gpu_code/budgets.h"
#include "gpu_code/cost_model.h"
#include "gpu_code/launch_counts.h"
#include "gpu_code/null_gpu.h"
#include "platform/printable.h"
#include "support/source_tree.h"

namespace bitaxon::gpu_code {
namespace {

struct Options {
  CompileOptions compile;
  bool check = false;
  bool as_budgets = false;
  bool as_json = false;
  bool counts_launches = false;
  std::string budgets;
  std::vector<std::string> devices;  ///< files of descriptions
  std::string code;                  ///< a family, in place of those of the descriptions; or empty
  StepOptions step;
};

std::vector<FamilyCode> compiled(const Options& options) {
  std::vector<FamilyCode> families =
      list_pipelines(options.compile, every_workload(options.compile.brief));
  for (const FamilyCode& family : families)
    if (family.pipelines.empty())
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("--filter: expected a part of a shader's name, got {}",
                              printable(options.compile.filter, 60)));
  compile(families, options.compile);
  return families;
}

/// Prints a line for each exceeded budget. Returns the exit status.
int check(Options options) {
  const Budgets budgets = read_budgets(options.budgets);
  const std::vector<std::string>& names = options.compile.families;
  const std::vector<vulkan::DeviceCaps> caps = family_caps(names);
  for (std::size_t k = 0; k < caps.size(); ++k)
    need_bounds_for(budgets, names[k], caps[k].driver_info);
  options.compile.is_counted = [&](const KernelFacts& facts) { return budgets.has_counts(facts); };
  const std::vector<FamilyCode> families = compiled(options);
  std::size_t n_pipelines = 0, n_problems = 0;
  Json problems = Json::array();
  for (const FamilyCode& family : families) {
    n_pipelines += family.pipelines.size();
    const std::vector<ReportRow> rows = report_rows(family);
    std::vector<std::string> found = exceeded(budgets, family, rows);
    if (options.compile.filter.empty())
      std::ranges::move(unmet(budgets, family, rows), std::back_inserter(found));
    for (const std::string& problem : found) {
      ++n_problems;
      if (options.as_json)
        problems.push_back(problem);
      else
        std::printf("%s\n", problem.c_str());
    }
  }
  if (options.as_json)
    std::printf("%s\n", Json{{"pipelines", n_pipelines}, {"exceeded", problems}}.dump(2).c_str());
  else
    std::printf("%zu pipelines on %s: %zu budgets exceeded\n", n_pipelines,
                fmt::format("{}", fmt::join(options.compile.families, ", ")).c_str(), n_problems);
  return n_problems == 0 ? 0 : 1;
}

int report(Options options) {
  if (options.as_budgets)
    options.compile.is_counted = [](const KernelFacts& facts) {
      return facts.kind != KernelKind::other;
    };
  const std::vector<FamilyCode> families = compiled(options);
  if (options.as_budgets) {
    std::printf("%s", as_budgets(families).c_str());
    return 0;
  }
  Json all = Json::array();
  for (const FamilyCode& family : families) {
    const std::vector<ReportRow> rows = report_rows(family);
    if (options.as_json)
      all.push_back(report_json(family, rows));
    else
      std::printf("%s\n", report_text(family, rows).c_str());
  }
  if (options.as_json) std::printf("%s\n", all.dump(2).c_str());
  return 0;
}

int predict(Options options) {
  options.step.shader_dir = options.compile.shader_dir;
  options.step.jobs = options.compile.jobs;
  Json all = Json::array();
  for (const std::string& file : options.devices) {
    DeviceDescription device = read_device(file);
    if (!options.code.empty()) device.code = options.code;
    const std::vector<Prediction> predictions = predict_steps(device, options.step);
    if (options.as_json)
      all.push_back(prediction_json(device, predictions));
    else
      std::printf("%s%s", &file == &options.devices.front() ? "" : "\n",
                  prediction_text(device, predictions).c_str());
  }
  if (options.as_json) std::printf("%s\n", all.dump(2).c_str());
  return 0;
}

int count(const Options& options) {
  const auto models = count_models(family_caps({options.compile.families.front()})[0]);
  if (options.as_json)
    std::printf("%s\n", counts_json(models).dump(2).c_str());
  else
    std::printf("%s", counts_text(models).c_str());
  return 0;
}

int kernel_report(int argc, char** argv) {
  Options options;
  options.compile.families = checked_families();
  options.compile.jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  options.budgets = (test::source_tree() / "tests/gpu_code/budgets.txt").string();
  CLI::App program(
      "Compiles every pipeline with the compilers of real GPUs, without a GPU, and prints what the "
      "machine code costs. Columns: loop and all in: vector instructions per weight of the main "
      "loop, and of everything at 2560 columns; eff: products per vector instruction of a tile "
      "and of attention; per row: vector instructions of a scan; "
      "vector to mem: instructions of a turn of the main loop.",
      "kernel_report");
  auto* family = program
                     .add_option("--family", options.compile.families,
                                 "AMD families, as RADV names them; with Mesa's stub kernels also "
                                 "intel:PLATFORM and nvidia:CHIP")
                     ->delimiter(',')
                     ->capture_default_str();
  auto* filter = program.add_option("--filter", options.compile.filter,
                                    "Only shaders with this text in their names");
  program.add_flag("--brief", options.compile.brief,
                   "Leave out op cases that only vary other cases, and variants of the end of a "
                   "product");
  program.add_flag("--quick", options.compile.quick,
                   "Compile only one pipeline for each row of the table, and of kernels without "
                   "weights one for each op and each model");
  program.add_option("--shader-dir", options.compile.shader_dir,
                     "Compile the shaders in this folder instead of the program's");
  program.add_option("--jobs", options.compile.jobs, "The most compiling processes at a time")
      ->check(CLI::Range(1, 64));
  auto* check_flag =
      program.add_flag("--check", options.check, "Fail if a figure exceeds its budget");
  program.add_option("--budgets", options.budgets, "The table of budgets")->needs(check_flag);
  auto* as_budgets =
      program
          .add_flag("--as-budgets", options.as_budgets, "Print the figures as a table of budgets")
          ->excludes(check_flag);
  auto* launches_flag =
      program
          .add_flag("--launches", options.counts_launches,
                    "Count the dispatches, the barriers and the longest chain of dependent "
                    "dispatches of decode steps, of one and of four sequences")
          ->excludes(check_flag)
          ->excludes(as_budgets)
          ->excludes(family)
          ->excludes(filter);
  auto* device = program
                     .add_option("--device", options.devices,
                                 "Predict the times of a step on the devices that these files "
                                 "describe (bench/devices)")
                     ->excludes(check_flag)
                     ->excludes(as_budgets)
                     ->excludes(family)
                     ->excludes(filter)
                     ->excludes(launches_flag);
  program
      .add_option("--code", options.code,
                  "With --device: the family whose machine code is counted, instead of the "
                  "description's")
      ->needs(device);
  program.add_option("--preset", options.step.preset, "With --device: the shape of the model")
      ->check(CLI::IsMember(preset_names()))
      ->needs(device)
      ->capture_default_str();
  program
      .add_option("--quantize", options.step.quantize, "With --device: the format of the weights")
      ->check(CLI::IsMember({"mlx", "nf4", "none"}))
      ->needs(device)
      ->capture_default_str();
  program.add_option("--prefill", options.step.prefill, "With --device: tokens of the prompt")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{kMaxRows}))
      ->needs(device)
      ->capture_default_str();
  program.add_option("--depth", options.step.depth, "With --device: tokens before the decoded one")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{32000}))
      ->needs(device)
      ->capture_default_str();
  program.add_flag("--json", options.as_json, "Print JSON")->excludes(as_budgets);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  }
  options.compile.brief |= options.compile.quick;
  if (options.counts_launches) return count(options);
  if (!options.devices.empty()) return predict(std::move(options));
  return options.check ? check(std::move(options)) : report(std::move(options));
}

}  // namespace
}  // namespace bitaxon::gpu_code

int main(int argc, char** argv) {
  try {
    return bitaxon::gpu_code::kernel_report(argc, argv);
  } catch (const bitaxon::Error& error) {
    std::fprintf(stderr, "kernel_report: %s\n", bitaxon::printable(error.what(), 4096).c_str());
    return error.kind() == bitaxon::ErrorKind::invalid_argument ? 2 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel_report: %s\n", bitaxon::printable(error.what(), 4096).c_str());
    return 1;
  }
}
