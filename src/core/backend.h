// What executes a plan: the CPU is one implementation, a GPU another. Neither knows the other, and a
// build may leave one out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "bitaxon/precision.h"
#include "bitaxon/shape.h"

namespace bitaxon {

class BackendDescription;
struct Plan;
struct StateLayout;
struct StepBuffer;
struct WeightDesc;
struct WeightParts;

/// A block of memory of one backend. A handle; the last one frees it.
struct Buffer {
  std::size_t size_bytes = 0;
  std::shared_ptr<void> memory;
};

/// What a buffer is for; a backend chooses the kind of memory by it.
enum class BufferUse : std::uint8_t { activations, state };

/// A weight in the form its backend packed it to. Only that backend looks inside `packed`.
struct Weight {
  std::string name;
  Shape shape;                     ///< [n_matrices, rows, cols]
  std::string format;              ///< "f16", "q4_affine_g64", "nf4_g64", ...
  std::uint64_t stored_bytes = 0;  ///< in the file, scales and the like included
  std::uint64_t packed_bytes = 0;  ///< in this backend's memory
  std::shared_ptr<const void> packed;
};

/// A compiled plan. Only the backend that made it looks inside.
struct Executable {
  std::shared_ptr<void> compiled;
};

/// What a compiled plan works in. The buffers are fixed when it is compiled, because a recording
/// names them; what changes per step is in the step buffer.
struct PlanContext {
  Buffer arena;  ///< at least Plan::arena_bytes; plans that never run at the same time share one
  std::vector<Buffer> state;  ///< one for each tensor of the layout
  int run_ahead = 0;  ///< steps submitted before the oldest is waited for: how often to record
  Precision precision = Precision::exact;
  std::shared_ptr<const StateLayout> state_layout;
};

/// Memory, weights and execution on one device. Calls come from one thread at a time. A backend
/// must outlive its buffers, weights and executables, so those who hold them share the backend; the
/// handles may be dropped while steps that use them are in flight. Steps run in the order of
/// submission, each after the one before. After work of the device has failed (a step, a copy), every later call fails with the same Error: what
/// would have come of it is missing. A call that found no memory or was refused before that has
/// changed nothing.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  virtual const BackendCaps& caps() const = 0;
  /// As the backend is at this moment.
  virtual std::shared_ptr<const BackendDescription> description() const = 0;

  /// Throws Error(device) when there is not enough memory. Contents are undefined. 0 bytes give a
  /// valid handle too.
  virtual Buffer allocate(std::size_t size_bytes, BufferUse use) = 0;
  /// Host to device, and device to host. Both wait for all submitted steps.
  virtual void upload(const Buffer& buffer, std::size_t offset,
                      std::span<const std::byte> from) = 0;
  virtual void download(const Buffer& buffer, std::size_t offset, std::span<std::byte> to) = 0;

  /// Brings a weight from its stored form into this backend's; the parts may be freed afterwards.
  virtual std::shared_ptr<const Weight> pack(const WeightDesc& desc, const WeightParts& parts) = 0;
  virtual Executable compile(std::shared_ptr<const Plan> plan, const PlanContext& context) = 0;

  /// Queues one step and returns; never waits for the device. At most caps().max_run_ahead + 1
  /// steps, of all models on this backend together, may be in flight; results of as many are
  /// remembered. Throws Error(invalid_argument) for one more.
  virtual Ticket submit(const Executable& executable, const StepBuffer& step) = 0;
  /// Blocks until the step is done. Throws Error(device) when it failed, Error(invalid_argument)
  /// when its result is no longer remembered.
  virtual StepResult wait(Ticket ticket) = 0;
  /// Of the step submitted last.
  virtual StepCounts last_step() const = 0;

  /// Waits for all steps, then measures, for a second or two. Throws Error(device).
  virtual DeviceRates measure_rates() { return {}; }
  /// Whether steps of plans that are compiled from here on are measured, which takes some time of
  /// its own.
  virtual void measure_ops(bool) {}
  /// Of the step submitted last, if it was measured; else, and on devices that cannot, empty. Waits
  /// for it.
  virtual std::vector<OpTime> last_step_times() { return {}; }
  /// The most memory that there has been in use for what this backend was asked for; empty: not
  /// counted.
  virtual std::optional<std::uint64_t> peak_bytes() const { return std::nullopt; }
};

}  // namespace bitaxon
