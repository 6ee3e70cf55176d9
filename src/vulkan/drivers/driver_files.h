// The manifests of the installed Vulkan drivers.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "platform/environment.h"

namespace bitaxon::vulkan {

/// The manifests that the loader reads, sorted. The search follows the documentation of the loader
/// (LoaderDriverInterface.md, "Driver Discovery on Linux"): the files and folders that the
/// environment names, else the folders vulkan/icd.d of the configuration and data folders.
std::vector<std::filesystem::path> driver_manifests();

/// The changes that make the loader read only these manifests, or all that it finds if `manifests`
/// is empty. Without `with_layers`, they also keep the loader from loading implicit layers. Loaders
/// before 1.3.234 ignore this setting.
EnvironmentChanges loader_settings(
    const std::optional<std::vector<std::filesystem::path>>& manifests, bool with_layers);

/// A text that changes when drivers may behave differently. It holds the names, sizes and times of
/// the manifests, of the libraries that they name and of layers. It also holds the variables that
/// switch layers or that drivers read, the stamp of the dynamic linker's cache, the GPUs and the
/// access to them, the ID of the boot, and the limits of the process.
std::string driver_circumstances(const std::vector<std::filesystem::path>& manifests);

}  // namespace bitaxon::vulkan
