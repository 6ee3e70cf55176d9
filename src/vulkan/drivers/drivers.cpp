#include "vulkan/drivers/drivers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/printable.h"

namespace bitaxon::vulkan {

std::string text_of(const RejectedDriver& driver) {
  return fmt::format("the Vulkan driver {} cannot be used: {}",
                     printable_path(driver.manifest.string()), driver.problem);
}

std::string Drivers::rejected_text() const {
  std::vector<std::string> texts;
  for (const RejectedDriver& driver : rejected) texts.push_back(text_of(driver));
  return fmt::format("{}", fmt::join(texts, "; "));
}

namespace {

using std::filesystem::path;

std::string names_of(const std::vector<path>& files) {
  std::vector<std::string> names;
  for (const path& file : files) names.push_back(printable_path(file.string()));
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Loads each driver alone and keeps the drivers that then list devices. For the case that one
/// driver hides the devices of all other drivers.
Drivers those_with_devices(const std::vector<path>& manifests, const TryDrivers& try_drivers,
                           bool with_layers) {
  std::vector<path> kept;
  for (const path& manifest : manifests) {
    const TrialResult alone = try_drivers({std::vector{manifest}, with_layers});
    if (alone.problem.empty() && alone.n_devices > 0) kept.push_back(manifest);
  }
  Drivers drivers;
  if (kept.empty()) return drivers;
  drivers.manifests = kept;
  drivers.warning = fmt::format(
      "of the Vulkan drivers only {} is used: with the others the loader lists no device at all",
      names_of(kept));
  return drivers;
}

/// Keeps the drivers that work together, and rejects the others. `whole` is the problem of the try
/// with all drivers.
Drivers those_that_do_well(const std::vector<path>& manifests, const TryDrivers& try_drivers,
                           bool with_layers, const std::string& whole) {
  Drivers drivers;
  std::vector<path> kept;
  for (const path& manifest : manifests) {
    kept.push_back(manifest);
    const std::string problem = try_drivers({kept, with_layers}).problem;
    if (problem.empty()) continue;
    kept.pop_back();
    drivers.rejected.push_back({manifest, problem});
  }
  if (!kept.empty()) {
    drivers.manifests = kept;
    if (drivers.rejected.empty())
      drivers.warning =
          fmt::format("of the Vulkan drivers only {} is used: with all that the loader finds {}",
                      names_of(kept), whole);
    return drivers;
  }
  drivers.problem = drivers.rejected.empty()
                        ? fmt::format("the Vulkan loader cannot be used: {}", whole)
                        : drivers.rejected_text();
  return drivers;
}

}  // namespace

Drivers sort_out_drivers(const std::vector<path>& manifests, const TryDrivers& try_drivers) {
  std::string first_problem;
  Drivers drivers;
  for (const bool with_layers : {true, false}) {
    const TrialResult whole = try_drivers({std::nullopt, with_layers});
    if (with_layers) first_problem = whole.problem;
    if (!whole.problem.empty())
      drivers = those_that_do_well(manifests, try_drivers, with_layers, whole.problem);
    else if (whole.n_devices == 0 && manifests.size() > 1)
      drivers = those_with_devices(manifests, try_drivers, with_layers);
    else
      drivers = {};
    drivers.with_layers = with_layers;
    if (drivers.problem.empty()) break;
  }
  if (!drivers.with_layers && drivers.problem.empty())
    drivers.warning = fmt::format("Vulkan layers are left out: with them {}", first_problem);
  return drivers;
}

}  // namespace bitaxon::vulkan
