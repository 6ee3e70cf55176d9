#include "gpu_code/launch_counts.h"

#include <fmt/format.h>

#include <algorithm>

#include "support/golden_cases.h"
#include "support/source_tree.h"
#include "vulkan/run/hazard_tracker.h"

namespace bitaxon::gpu_code {
namespace {

/// Whether the second launch has to wait for the first one.
bool depends(const ListedLaunch& first, const ListedLaunch& second) {
  vulkan::HazardTracker hazards;
  hazards.needs_barrier(first.accesses);
  return hazards.needs_barrier(second.accesses);
}

ModelCounts count_model(std::string name, const BaseModel& model, const vulkan::DeviceCaps& caps) {
  const auto counts = [&](int n_sequences) {
    return count_launches(decode_launches(model, n_sequences, Precision::fast, caps));
  };
  return {std::move(name), model.spec.family, counts(1), counts(4)};
}

Json one_json(const LaunchCounts& counts) {
  return {
      {"dispatches", counts.dispatches}, {"barriers", counts.barriers}, {"chain", counts.chain}};
}

}  // namespace

LaunchCounts count_launches(const std::vector<ListedLaunch>& launches) {
  LaunchCounts counts{.dispatches = launches.size()};
  vulkan::HazardTracker hazards;
  std::vector<std::size_t> chains;  // the longest path that ends with each launch
  for (const ListedLaunch& launch : launches) {
    if (hazards.needs_barrier(launch.accesses)) ++counts.barriers;
    std::size_t before = 0;
    for (std::size_t i = 0; i < chains.size(); ++i)
      if (chains[i] > before && depends(launches[i], launch)) before = chains[i];
    chains.push_back(before + 1);
    counts.chain = std::max(counts.chain, before + 1);
  }
  return counts;
}

std::vector<ModelCounts> count_models(const vulkan::DeviceCaps& caps) {
  std::vector<ModelCounts> all;
  for (const std::string_view preset : preset_names())
    all.push_back(count_model(fmt::format("preset {}", preset),
                              BaseModel::random(preset_spec(preset), 1), caps));
  std::vector<std::filesystem::path> folders = test::golden_case_folders();
  for (const auto& folder : test::family_case_folders()) folders.push_back(folder);
  for (const auto& folder : folders) {
    if (!std::filesystem::exists(folder / "config.json")) continue;
    std::vector<std::string> warnings;
    all.push_back(count_model(folder.filename().string(),
                              BaseModel::of_files(model_files(folder), "", warnings), caps));
  }
  return all;
}

std::string counts_text(const std::vector<ModelCounts>& models) {
  std::string text = fmt::format("{:<39} {:<29} {}\n", "", "one sequence", "four sequences");
  text += fmt::format("{:<24} {:<14} {:>10} {:>9} {:>6}   {:>10} {:>9} {:>6}\n", "model", "family",
                      "dispatches", "barriers", "chain", "dispatches", "barriers", "chain");
  for (const ModelCounts& model : models)
    text += fmt::format("{:<24} {:<14} {:>10} {:>9} {:>6}   {:>10} {:>9} {:>6}\n", model.model,
                        model.family, model.of_one.dispatches, model.of_one.barriers,
                        model.of_one.chain, model.of_four.dispatches, model.of_four.barriers,
                        model.of_four.chain);
  return text;
}

Json counts_json(const std::vector<ModelCounts>& models) {
  Json all = Json::array();
  for (const ModelCounts& model : models)
    all.push_back({{"model", model.model},
                   {"family", model.family},
                   {"one_sequence", one_json(model.of_one)},
                   {"four_sequences", one_json(model.of_four)}});
  return all;
}

}  // namespace bitaxon::gpu_code
