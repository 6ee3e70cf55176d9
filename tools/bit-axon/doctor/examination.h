// What `bit-axon doctor` finds out about one device.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/benchmark.h"
#include "bitaxon/devices.h"
#include "compare/comparison.h"

namespace bitaxon::tool {

/// The op cases that ran with one precision.
struct OpChecks {
  Precision precision = Precision::exact;
  int n_ops = 0, n_cases = 0;
  /// The largest error of a result, as a fraction of the allowed error.
  double largest_error = 0;
  std::vector<std::string> problems;  ///< one line for each wrong result: "linear/q4_g64: ..."
};

/// The speed of a model with random weights, in the precision that is the default.
struct SpeedCheck {
  std::string model;  ///< "default configuration, random 4-bit weights"
  BenchedDevice device;
};

/// Why a part of an examination failed.
enum class FailureCause : std::uint8_t {
  device,        ///< a call of the device failed, or its memory did not suffice
  installation,  ///< a file that belongs to this program is missing or damaged
  program,       ///< anything else
};
std::string_view name_of(FailureCause cause);

struct PartFailure {
  FailureCause cause = FailureCause::device;
  /// "prefill and decoding: vkQueueSubmit2: ..."; it names no folder of the machine.
  std::string text;
};

struct Examination {
  DeviceInfo device;
  std::string backend;                  ///< "vulkan"
  std::vector<VariantChoice> variants;  ///< as in BackendCaps
  std::vector<OpChecks> ops;
  std::string model;                 ///< the bundled model that was compared with the CPU
  std::optional<Comparison> tokens;  ///< greedy tokens of the bundled model beside those of the CPU
  RateRange rates;
  std::optional<SpeedCheck> speed;
  std::optional<double> temperature_before, temperature_after;  ///< degrees Celsius
  std::vector<PartFailure> failures;
  std::vector<std::string> left_out;  ///< parts that did not run to their end, with the reason
  bool interrupted = false;
  double seconds = 0;

  /// The first wrong result. Empty if all results that are there are right.
  std::string wrong_result() const;
  /// The first failure of the device, or else the first other failure. Null if nothing failed.
  const PartFailure* failure() const;
  /// The first wrong result. If no result is wrong, the text of failure(), or nothing.
  std::string problem() const;
  /// Whether all results are right. Empty if results are missing and the device is not at fault.
  std::optional<bool> is_right() const;
};

/// How long the parts of an examination are.
struct ExaminationLengths {
  std::string model = {};  ///< a folder in place of the bundled model
  std::int64_t n_greedy = 200;
  double rate_seconds = 4;  ///< for all rates together; again after the speed
  std::int64_t n_prompt = 512, n_decode = 64;
  std::vector<std::string> presets = {"default", "medium", "small"};  ///< the first that fits runs

  /// For a device of this kind. A CPU is far slower than a GPU. A software driver of Vulkan and the
  /// reference are far slower than the backend for the CPU.
  static ExaminationLengths for_device(const DeviceInfo& device);
};

/// Examines the device that `open` opens. `on_part` tells what begins. A part that fails is among the
/// failures, and the other parts are still there. Interrupted, the examination has the parts up to
/// then. Throws Error if the device cannot be opened because of what was asked for.
Examination examine(const DeviceInfo& device, const std::function<OpenedDevice()>& open,
                    const ExaminationLengths& lengths, const std::atomic<bool>& interrupted,
                    const std::function<void(std::string_view part)>& on_part);

/// Runs a few cases of each op on the backend, compares the results with the reference, and adds what
/// it finds to `checks` after each case. Returns false when interrupted.
bool check_ops(Backend& backend, Backend& reference, const std::atomic<bool>& interrupted,
               OpChecks& checks);

}  // namespace bitaxon::tool
