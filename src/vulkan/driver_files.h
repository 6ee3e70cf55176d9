// The Vulkan drivers that are installed, by their manifests.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "platform/environment.h"

namespace bitaxon::vulkan {

/// The manifests that the loader reads, sorted, as its documentation describes the search
/// (LoaderDriverInterface.md, "Driver Discovery on Linux"): the files and folders that the
/// environment names, else the folders vulkan/icd.d of the configuration and data folders.
std::vector<std::filesystem::path> driver_manifests();

/// Makes the loader read these manifests and no others (empty: whatever it finds), and no implicit
/// layers unless `with_layers`; that loaders before 1.3.234 do not understand.
EnvironmentChanges loader_settings(
    const std::optional<std::vector<std::filesystem::path>>& manifests, bool with_layers);

/// A text that changes when drivers may behave in another way: names, sizes and times of manifests
/// and of the libraries they name, the same of layers with the variables that switch them, the time
/// of the dynamic linker's cache, GPUs and access to them, the boot, limits of the process, and
/// variables that drivers read.
std::string driver_circumstances(const std::vector<std::filesystem::path>& manifests);

}  // namespace bitaxon::vulkan
