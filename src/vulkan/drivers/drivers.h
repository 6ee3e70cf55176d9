// Which Vulkan drivers may be loaded into this process. A driver that crashes ends its process, so
// drivers are tried in another process first.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bitaxon::vulkan {

/// A driver that is not used.
struct RejectedDriver {
  std::filesystem::path manifest;
  std::string problem;  ///< "it crashes (Segmentation fault) while its devices are listed"
};

/// "the Vulkan driver /usr/share/vulkan/icd.d/x.json cannot be used: it crashes ..."
std::string text_of(const RejectedDriver& driver);

/// The drivers and layers that this process may load.
struct Drivers {
  /// The manifests of the drivers to load. If empty, the loader loads all drivers that it finds.
  std::optional<std::vector<std::filesystem::path>> manifests;
  bool with_layers = true;  ///< whether the loader may load implicit layers
  std::vector<RejectedDriver> rejected;
  std::string problem;  ///< why Vulkan cannot be used at all; empty if it can
  std::string warning;  ///< any other problem, for example that the drivers have not been tried

  /// The reasons why drivers are rejected, joined with "; ". Empty when no driver is rejected.
  std::string rejected_text() const;
};

/// One try: the drivers and layers that the other process loads.
struct DriverTrial {
  std::optional<std::vector<std::filesystem::path>> manifests;  ///< as in Drivers
  bool with_layers = true;
};

struct TrialResult {
  std::string problem;  ///< empty if nothing went wrong
  int n_devices = 0;    ///< the devices of all drivers together
};
using TryDrivers = std::function<TrialResult(const DriverTrial& trial)>;

/// Finds the usable drivers in as few tries as possible. If all of them work together, one try is
/// enough. Otherwise each manifest takes one more try, together with the manifests that worked
/// before it. This also finds drivers that crash only in the presence of another driver. If no
/// driver works, all tries are repeated without layers.
Drivers sort_out_drivers(const std::vector<std::filesystem::path>& manifests,
                         const TryDrivers& try_drivers);

/// The drivers of this machine, tried by the program bit-axon-probe. The result is kept in this
/// process and in `cache_dir`, unless that is empty. It is valid while driver_circumstances() stays
/// the same. Without the program, all drivers are trusted and `warning` says so. With
/// BIT_AXON_PROBE=off, all drivers are trusted without a warning. May be called from any thread.
Drivers usable_drivers(const std::filesystem::path& cache_dir);

}  // namespace bitaxon::vulkan
