#include "vulkan/drivers.h"

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

std::vector<std::string> names_of(const std::vector<std::filesystem::path>& files) {
  std::vector<std::string> names;
  for (const std::filesystem::path& file : files) names.push_back(printable_path(file.string()));
  return names;
}

}  // namespace

Drivers sort_out_drivers(const std::vector<std::filesystem::path>& manifests,
                         const TryDrivers& try_drivers) {
  Drivers drivers;
  const std::string whole = try_drivers({});
  if (whole.empty()) return drivers;
  std::vector<std::filesystem::path> kept;
  for (const std::filesystem::path& manifest : manifests) {
    kept.push_back(manifest);
    const std::string problem = try_drivers({.manifests = kept, .with_layers = true});
    if (problem.empty()) continue;
    kept.pop_back();
    drivers.rejected.push_back({manifest, problem});
  }
  if (!kept.empty()) {
    drivers.manifests = kept;
    if (drivers.rejected.empty())
      drivers.warning = fmt::format(
          "of the Vulkan drivers only {} is used: with all that the loader finds {}",
          fmt::join(names_of(kept), ", "), whole);
    return drivers;
  }
  if (try_drivers({.manifests = {}, .with_layers = false}).empty()) {
    drivers.rejected.clear();
    drivers.problem = fmt::format(
        "a Vulkan layer cannot be used: with layers {}; VK_LOADER_LAYERS_DISABLE=~implicit~ leaves "
        "them out",
        whole);
  } else if (drivers.rejected.empty()) {
    drivers.problem = fmt::format("the Vulkan loader cannot be used: {}", whole);
  } else {
    drivers.problem = drivers.rejected_text();
  }
  return drivers;
}

}  // namespace bitaxon::vulkan
