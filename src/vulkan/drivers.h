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

/// What this process may load.
struct Drivers {
  /// The manifests of these drivers and no others; empty: whatever the loader finds.
  std::optional<std::vector<std::filesystem::path>> manifests;
  bool with_layers = true;  ///< false: without those that nobody asks for (implicit layers)
  std::vector<RejectedDriver> rejected;
  std::string problem;  ///< why Vulkan cannot be used at all; empty: it can
  std::string warning;  ///< what else is wrong: the drivers have not been tried

  /// Why drivers are left out, joined with "; "; empty when none is.
  std::string rejected_text() const;
};

/// One try: which drivers are loaded into the other process.
struct DriverTrial {
  std::optional<std::vector<std::filesystem::path>> manifests;  ///< empty: whatever is found
  bool with_layers = true;
};

struct TrialResult {
  std::string problem;  ///< empty: nothing went wrong
  int n_devices = 0;    ///< of all drivers together
};
using TryDrivers = std::function<TrialResult(const DriverTrial& trial)>;

/// Finds out with as few tries as possible: one where all is well, else one more for each manifest,
/// which is tried together with those that did well before it. So drivers that crash only beside
/// each other are found, too. Where no driver does well, all is tried again without layers.
Drivers sort_out_drivers(const std::vector<std::filesystem::path>& manifests,
                         const TryDrivers& try_drivers);

/// The drivers of this machine, tried by the program bit-axon-probe. What it found is kept in
/// `cache_dir` (empty: nowhere) and in this process, and counts as long as driver_circumstances()
/// are the same. Where there is no such program, all drivers are trusted and `warning` says so;
/// with BIT_AXON_PROBE=off they are trusted without a word. From any thread.
Drivers usable_drivers(const std::filesystem::path& cache_dir);

}  // namespace bitaxon::vulkan
