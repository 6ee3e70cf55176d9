// The interface of backends, which execute plans. The CPU and Vulkan backends implement it. Neither
// depends on the other, and a build may leave one out.
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

/// A handle to a block of memory of one backend. The last handle frees the block.
struct Buffer {
  std::size_t size_bytes = 0;
  std::shared_ptr<void> memory;
};

/// The purpose of a buffer. It decides the kind of memory that a backend chooses.
enum class BufferUse : std::uint8_t { activations, state };

/// A copy of bytes from one buffer of a backend to another, or within one.
struct BufferCopy {
  Buffer from;
  std::size_t from_offset = 0;
  Buffer to;
  std::size_t to_offset = 0;
  std::size_t size_bytes = 0;
};

/// A weight that a backend has packed. Only that backend looks inside `packed`.
struct Weight {
  std::string name;
  Shape shape;                     ///< [n_matrices, rows, cols]
  std::string format;              ///< "f16", "q4_affine_g64", "nf4_g64", ...
  std::uint64_t stored_bytes = 0;  ///< bytes in the file, with scales and biases
  std::uint64_t packed_bytes = 0;  ///< bytes in the backend's memory
  std::shared_ptr<const void> packed;
};

/// A compiled plan. Only the backend that compiled it looks inside `compiled`.
struct Executable {
  std::shared_ptr<void> compiled;
};

/// The memory and the options of a compiled plan. The buffers are fixed when the plan is compiled,
/// because its recordings name them. Everything that changes from step to step is in the step
/// buffer.
struct PlanContext {
  Buffer arena;  ///< at least Plan::arena_bytes; plans that run one after the other share it
  std::vector<Buffer> state;    ///< one buffer for each tensor of the state layout
  std::size_t table_words = 0;  ///< the most words of page tables in a step (StepBuffer::pages)
  int run_ahead = 0;            ///< LoadOptions::run_ahead of the model
  Precision precision = Precision::exact;
  std::shared_ptr<const StateLayout> state_layout;
};

/// Memory, weights and execution on one device. Calls must come from one thread at a time. A
/// backend must outlive its buffers, weights and executables, so objects that hold one of them also
/// hold the backend. Handles may be dropped while steps that use them are in flight. Steps run one
/// after the other, in the order of submission. After a step or a copy has failed on the device,
/// its results are missing, so every later call fails with the same Error. A call that is refused,
/// or that finds no memory, changes nothing.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  virtual const BackendCaps& caps() const = 0;
  /// A description of the backend at this moment.
  virtual std::shared_ptr<const BackendDescription> description() const = 0;

  /// Allocates a buffer with undefined contents. A buffer of 0 bytes is valid too. Throws
  /// Error(device) if there is not enough memory.
  virtual Buffer allocate(std::size_t size_bytes, BufferUse use) = 0;
  /// upload() copies from host to device, and download() copies from device to host. Both wait for
  /// all submitted steps.
  virtual void upload(const Buffer& buffer, std::size_t offset,
                      std::span<const std::byte> from) = 0;
  virtual void download(const Buffer& buffer, std::size_t offset, std::span<std::byte> to) = 0;

  /// Queues copies behind the submitted steps and returns without waiting. Steps that are submitted
  /// later, and upload() and download(), see the copied bytes. The ranges must not overlap. All
  /// offsets and sizes are multiples of 4.
  virtual void copy(std::span<const BufferCopy> copies) = 0;
  /// Waits for all submitted steps and queued copies.
  virtual void finish() = 0;

  /// Converts a weight from its stored form to the form of this backend. The parts may be freed
  /// afterwards.
  virtual std::shared_ptr<const Weight> pack(const WeightDesc& desc, const WeightParts& parts) = 0;
  virtual Executable compile(std::shared_ptr<const Plan> plan, const PlanContext& context) = 0;

  /// Queues one step and returns without waiting for the device. At most caps().max_run_ahead + 1
  /// steps of all models on this backend may be in flight. The backend keeps the results of the
  /// same number of steps. Throws Error(invalid_argument) if too many steps are in flight.
  virtual Ticket submit(const Executable& executable, const StepBuffer& step) = 0;
  /// Blocks until the step is done. Throws Error(device) if the step failed, and
  /// Error(invalid_argument) if the backend has dropped the step's result.
  virtual StepResult wait(Ticket ticket) = 0;
  /// The counts of the latest step.
  virtual StepCounts last_step() const = 0;

  /// Waits for all steps, then measures the rates of the device for a second or two. Throws
  /// Error(device).
  virtual DeviceRates measure_rates() { return {}; }
  /// Sets whether to measure the steps of plans that are compiled after this call. Measured steps
  /// take slightly longer.
  virtual void measure_ops(bool) {}
  /// Waits for the latest step and returns the times of its launches. Empty if the step was not
  /// measured or the device cannot measure times.
  virtual std::vector<OpTime> last_step_times() { return {}; }
  /// The largest amount of memory that was allocated for callers of this backend at one time. Empty
  /// if the backend does not count its memory.
  virtual std::optional<std::uint64_t> peak_bytes() const { return std::nullopt; }
};

}  // namespace bitaxon
