// A plan bound to memory: its launches and their recordings.
#pragma once

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
  std::string label;  ///< "layer_0 ssm_in: ssm_in_vec .. sample: sample_draw (43 dispatches)"
  std::optional<BoundRange> result;
  RecordOptions options;
  std::vector<std::unique_ptr<Recording>> recordings;

  /// Returns a recording that is not in flight (its ticket is at most `done`), or a new one when
  /// all are in flight.
  Recording& recording_for(std::uint64_t done, const Device& device, MemoryAllocator& memory);
};

/// Asks the kernel of every node for its launches and resolves their bindings. Throws
/// Error(unsupported) when a kernel cannot run on this device, or when a binding or a grid exceeds
/// a limit. The message then names the op, the label, the value and the limit. Throws Error(device)
/// as PipelineLibrary does.
void bind_launches(VulkanExecutable& executable, const DeviceCaps& caps,
                   PipelineLibrary& pipelines);

}  // namespace bitaxon::vulkan
