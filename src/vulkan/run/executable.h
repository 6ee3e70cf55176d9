// A plan bound to memory: its launches and their recordings.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/plan.h"
#include "vulkan/run/recording.h"

namespace bitaxon::vulkan {

/// The executable of Vulkan. Owns everything that its recordings refer to.
struct VulkanExecutable {
  std::shared_ptr<const Plan> plan;
  PlanContext context;
  std::vector<BoundLaunch> launches;
  std::shared_ptr<DeviceBuffer> counters;  ///< of all launches; null if no launch has any
  /// The first and the last launch, such as
  /// "layer_0 ssm_in: ssm_in_vec .. sample: sample_draw (43 dispatches)".
  std::string label;
  std::optional<BoundRange> result;
  RecordOptions options;
  std::vector<std::unique_ptr<Recording>> recordings;

  /// Returns a recording that is not in flight. A recording is in flight if its ticket is greater
  /// than `done`. If all recordings are in flight, makes a new one.
  Recording& recording_for(std::uint64_t done, const Device& device, MemoryAllocator& memory);
};

/// The op at a place of Plan::order; "ssm_in+linear" if its node is joined with the next one.
std::string ops_at(const Plan& plan, std::size_t place);
/// The cost of the node at a place, and of the one joined with it.
Cost cost_at(const Plan& plan, std::size_t place, const StepSizes& sizes);

/// Allocates a buffer of the device and fills it with zeros.
using AllocateZeros = std::function<std::shared_ptr<DeviceBuffer>(std::size_t size_bytes)>;

/// Asks the kernel of every node for its launches and resolves the bindings of these launches.
/// Throws Error(unsupported) if a kernel cannot run on this device, or if a binding or a grid
/// exceeds a limit. In the second case the message names the op, its label, the value and the
/// limit. Throws Error(device) in the same cases as PipelineLibrary.
void bind_launches(VulkanExecutable& executable, const DeviceCaps& caps, PipelineLibrary& pipelines,
                   const AllocateZeros& allocate_zeros);

}  // namespace bitaxon::vulkan
