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
  /// The manifests of the drivers to load; empty: all that the loader finds.
  std::optional<std::vector<std::filesystem::path>> manifests;
  bool with_layers = true;  ///< false: without implicit layers, which load unasked
  std::vector<RejectedDriver> rejected;
  std::string problem;  ///< why Vulkan cannot be used at all; empty: it can
  std::string warning;  ///< any other problem, for example that the drivers have not been tried

  /// Why drivers are rejected, joined with "; "; empty when no driver is.
  std::string rejected_text() const;
};

/// One try: the drivers and layers that the other process loads.
struct DriverTrial {
  std::optional<std::vector<std::filesystem::path>> manifests;  ///< as in Drivers
  bool with_layers = true;
};

struct TrialResult {
  std::string problem;  ///< empty: nothing went wrong
  int n_devices = 0;    ///< of all drivers together
};
using TryDrivers = std::function<TrialResult(const DriverTrial& trial)>;

/// Finds the usable drivers in as few tries as possible. If all of them work together, one try is
/// enough. Otherwise each manifest takes one more: it is tried together with those that worked
/// before it, which also finds drivers that crash only in the presence of another. If no driver
/// works, all tries are repeated without layers.
Drivers sort_out_drivers(const std::vector<std::filesystem::path>& manifests,
                         const TryDrivers& try_drivers);

/// The drivers of this machine, tried by the program bit-axon-probe. The result is kept in
/// `cache_dir` (empty: not kept on disk) and in this process, and is valid while
/// driver_circumstances() stay the same. Without the program, all drivers are trusted and `warning`
/// says so. With BIT_AXON_PROBE=off all drivers are trusted without a warning. May be called from
/// any thread.
Drivers usable_drivers(const std::filesystem::path& cache_dir);

}  // namespace bitaxon::vulkan
