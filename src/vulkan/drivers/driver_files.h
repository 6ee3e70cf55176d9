// Finds the manifests of the installed Vulkan drivers.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "platform/environment.h"

namespace bitaxon::vulkan {

/// The manifests that the loader reads, sorted. They are in the files and folders that the
/// environment names. If it names none, they are in the folders vulkan/icd.d of the configuration
/// and data folders. The search follows the documentation of the loader (LoaderDriverInterface.md,
/// "Driver Discovery on Linux").
std::vector<std::filesystem::path> driver_manifests();

/// Changes of environment variables that make the loader read only these manifests. If `manifests`
/// is empty, the loader reads all manifests that it finds. Without `with_layers`, the changes also
/// keep the loader from loading implicit layers; loaders before 1.3.234 ignore this.
EnvironmentChanges loader_settings(
    const std::optional<std::vector<std::filesystem::path>>& manifests, bool with_layers);

/// A text that changes whenever drivers may behave differently. It contains
///   the names, sizes and times of the manifests, of the libraries that they name and of layers;
///   the environment variables that switch layers or that drivers read;
///   the stamp of the dynamic linker's cache;
///   the GPUs, and whether this user may open them;
///   the ID of the boot, and the limits of the process.
std::string driver_circumstances(const std::vector<std::filesystem::path>& manifests);

}  // namespace bitaxon::vulkan
