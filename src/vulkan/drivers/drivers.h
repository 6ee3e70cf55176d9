// Decides which Vulkan drivers may be loaded into this process. A driver that crashes ends the
// whole process, so drivers are first tried in another process.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bitaxon::vulkan {

/// A driver that is not used, and the reason.
struct RejectedDriver {
  std::filesystem::path manifest;
  std::string problem;  ///< such as "it crashes (Segmentation fault) while its devices are listed"
};

/// The rejection as text, such as
/// "the Vulkan driver /usr/share/vulkan/icd.d/x.json cannot be used: it crashes ...".
std::string text_of(const RejectedDriver& driver);

/// The drivers and layers that this process may load.
struct Drivers {
  /// The manifests of the drivers to load. If empty, the loader loads all drivers that it finds.
  std::optional<std::vector<std::filesystem::path>> manifests;
  bool with_layers = true;  ///< whether the loader may load implicit layers
  std::vector<RejectedDriver> rejected;
  std::string problem;  ///< why Vulkan cannot be used at all; empty if Vulkan can be used
  std::string warning;  ///< any other problem, such as that no driver could be tried

  /// The texts of all rejected drivers, joined with "; ". Empty if no driver is rejected.
  std::string rejected_text() const;
};

/// One try: which drivers and layers the other process loads.
struct DriverTrial {
  std::optional<std::vector<std::filesystem::path>> manifests;  ///< as in Drivers
  bool with_layers = true;
};

struct TrialResult {
  std::string problem;  ///< what went wrong; empty if nothing did
  int n_devices = 0;    ///< the number of devices of all drivers together
};
using TryDrivers = std::function<TrialResult(const DriverTrial& trial)>;

/// Finds the usable drivers in as few tries as possible. If all drivers work together, one try is
/// enough. Otherwise there is one more try for each manifest: it loads this manifest together with
/// all earlier manifests that worked. This also finds drivers that crash only if another driver is
/// loaded. If no driver works, all tries are repeated without layers.
Drivers sort_out_drivers(const std::vector<std::filesystem::path>& manifests,
                         const TryDrivers& try_drivers);

/// Finds the usable drivers of this machine by tries with the program bit-axon-probe. The result is
/// kept in this process, and also in the folder `cache_dir` if this is not empty. A kept result is
/// valid as long as driver_circumstances() stays the same. If the program is missing, all drivers
/// are trusted, and `warning` says so. With BIT_AXON_PROBE=off, all drivers are trusted without a
/// warning. This function may be called from any thread.
Drivers usable_drivers(const std::filesystem::path& cache_dir);

}  // namespace bitaxon::vulkan
