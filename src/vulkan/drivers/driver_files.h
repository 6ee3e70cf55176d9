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

/// Makes the loader read these manifests and no others (empty: all that it finds). Unless
/// `with_layers`, it loads no implicit layers; loaders before 1.3.234 ignore that setting.
EnvironmentChanges loader_settings(
    const std::optional<std::vector<std::filesystem::path>>& manifests, bool with_layers);

/// A text that changes when drivers may behave differently. It holds the names, sizes and times of
/// the manifests, of the libraries they name and of layers, the variables that switch layers, the
/// time of the dynamic linker's cache, the GPUs and the access to them, the boot, limits of the
/// process, and variables that drivers read.
std::string driver_circumstances(const std::vector<std::filesystem::path>& manifests);

}  // namespace bitaxon::vulkan
