// A device that computes, its properties, and the results of its steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/export.h"
#include "bitaxon/step_limits.h"

namespace bitaxon {

/// A device that open_device() has opened. The type is opaque: only models use it. Models and
/// states keep their backend alive, so handles may be dropped in any order. Calls that use a
/// backend must come from one thread at a time. After the device has failed in a step or a copy,
/// every later call that uses the backend throws the same Error.
class Backend;

/// Names one submitted step. The numbers of one backend's tickets ascend.
struct Ticket {
  std::uint64_t number = 0;
};

/// The tokens that a step sampled.
struct StepResult {
  static constexpr std::int32_t kNotFinite = -1;   ///< the segment's logits were not finite
  static constexpr std::int32_t kNotSampled = -2;  ///< the segment asked for no token
  /// One entry for each segment: its token, kNotFinite or kNotSampled. Empty if no segment asked
  /// for a token. The span is valid until the next submit or wait.
  std::span<const std::int32_t> tokens;
};

/// The host's work for one step, and the bytes that moved between host and device.
struct StepCounts {
  std::size_t dispatches = 0;   ///< kernels that ran
  std::size_t submissions = 0;  ///< command buffers submitted; 1 on the CPU
  std::size_t bytes_to_device = 0;
  std::size_t bytes_from_device = 0;
};

/// A kernel variant that a backend chose for its device.
struct VariantChoice {
  std::string kernels;  ///< "products of many rows, fast"
  std::string variant;  ///< "matrix units"
  std::string reason;   ///< "the self-test agrees"
};

/// The properties of a backend.
struct BackendCaps {
  std::string name;            ///< "cpu", "reference", "vulkan"
  std::string device;          ///< "AMD EPYC, 2 threads"
  bool always_exact = false;   ///< computes exactly, whatever precision is asked for
  bool compiles_late = false;  ///< the driver compiles a kernel at its first use
  std::size_t max_run_ahead =
      kMaxRunAhead;         ///< the largest LoadOptions::run_ahead that the backend accepts
  int n_threads = 0;        ///< 0 on devices that have no threads
  std::string driver;       ///< name and version; empty without a driver
  std::string pci_address;  ///< "0000:65:00.0"; empty if there is none or it is not known
  std::vector<VariantChoice> variants = {};  ///< where the device could run several variants
};

/// The properties of a backend. The reference is valid while the backend exists.
BX_API const BackendCaps& caps_of(const Backend& backend);

/// The best rates that were measured on a device. Reports compare the speed of steps with these
/// rates. 0 means that a rate was not measured.
struct DeviceRates {
  double read_bytes_per_s = 0;  ///< reads of data that is in no cache
  double f32_flops_per_s = 0;   ///< arithmetic in registers; a multiply and an add are two
  double dispatch_s = 0;        ///< time of a small dispatch after a barrier; GPUs only
  /// Products of float16 matrices with float32 sums, in registers; only where matrix units are used.
  double matrix_flops_per_s = 0;
};

/// The time of one launch of a measured step. On the CPU, the time of one node of the graph.
struct OpTime {
  std::string op;     ///< "ssm_in"
  std::string label;  ///< "layer_3 ssm_in: ssm_in_vec"
  double time_ns = 0;
  // The work of the launch's node. If a node has several launches, the first launch has the work of
  // the whole node, and the others have 0.
  std::int64_t bytes = 0;  ///< moved from and to memory
  std::int64_t flops = 0;
};

}  // namespace bitaxon
