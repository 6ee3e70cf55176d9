// A device that computes, and what it tells about itself and its steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "bitaxon/export.h"
#include "bitaxon/step_limits.h"

namespace bitaxon {

/// A device that open_device() has opened. Opaque: models use it. States and models keep the backend
/// that they need, so that handles may be dropped in any order. Calls that use a backend come from
/// one thread at a time. After the device has failed (in a step or a copy), every later call that
/// uses it throws the same Error.
class Backend;

/// Names one submitted step; tickets of one backend ascend.
struct Ticket {
  std::uint64_t number = 0;
};

/// What a step sampled.
struct StepResult {
  static constexpr std::int32_t kNotFinite = -1;   ///< the logits of the segment were not finite
  static constexpr std::int32_t kNotSampled = -2;  ///< the segment asked for no token
  /// One token, or one of these numbers, for each segment. Empty when no segment asked for a token.
  /// Valid until the next submit or wait.
  std::span<const std::int32_t> tokens;
};

/// What one step took: of the host's side, and of what went between host and device.
struct StepCounts {
  std::size_t dispatches = 0;   ///< kernels run
  std::size_t submissions = 0;  ///< handed to the device
  std::size_t bytes_to_device = 0;
  std::size_t bytes_from_device = 0;
};

struct BackendCaps {
  std::string name;            ///< "cpu", "reference", "vulkan"
  std::string device;          ///< "AMD EPYC, 2 threads"
  bool always_exact = false;   ///< computes exactly whatever precision is asked for
  bool compiles_late = false;  ///< a kernel's first use takes longer: its driver compiles it then
  std::size_t max_run_ahead =
      kMaxRunAhead;         ///< steps that may be submitted and not yet waited for, less one
  int n_threads = 0;        ///< 0: not counted in threads
  std::string driver;       ///< name and version; empty: there is none
  std::string pci_address;  ///< "0000:65:00.0"; empty: none, or not known
};

/// What a backend tells about itself. Good as long as the backend.
BX_API const BackendCaps& caps_of(const Backend& backend);

/// What a device reaches at best, measured on it: the limits that steps are held against. 0: not
/// measured.
struct DeviceRates {
  double read_bytes_per_s = 0;  ///< from memory that no cache holds
  double f32_flops_per_s = 0;   ///< multiplying and adding in registers; these are two operations
  double dispatch_s = 0;        ///< of a dispatch that only waits for the one before; GPUs
};

/// What a measured step spent on one of its launches; on the CPU, on one of its nodes.
struct OpTime {
  std::string op;     ///< "ssm_in"
  std::string label;  ///< "layer_3 ssm_in: ssm_in_vec"
  double time_ns = 0;
  // Of its node, in this step; a node of several launches counts at its first.
  std::int64_t bytes = 0;  ///< from and to memory
  std::int64_t flops = 0;
};

}  // namespace bitaxon
