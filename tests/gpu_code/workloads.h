// The plans whose pipelines are compiled: those of the op cases, of one model of each family, and of
// training.
#pragma once

#include <string>
#include <vector>

#include "gpu_code/listing_backend.h"
#include "training/base_model.h"

namespace bitaxon::gpu_code {

/// A step of a model: n_rows rows of one sequence, of which the last gives a token.
struct ModelStep {
  std::int64_t n_rows = 1;
  std::int64_t position = 0;  ///< of the first row
};

/// A launch of a step, with its share of the work.
struct StepLaunch {
  ListedLaunch listed;
  std::array<std::uint32_t, 3> groups{};  ///< work groups along each axis
  Cost cost;                              ///< of the whole node; only in its first launch
};

/// The launches of a step.
std::vector<StepLaunch> step_launches(const BaseModel& model, const ModelStep& step,
                                      Precision precision, const vulkan::DeviceCaps& caps);

/// The launches of a decode step: one row of each of some sequences, and a drawn token for each.
std::vector<ListedLaunch> decode_launches(const BaseModel& model, int n_sequences,
                                          Precision precision, const vulkan::DeviceCaps& caps);

/// Receives the launches of a plan on device `device` of several.
using DeviceLaunchSink =
    std::function<void(std::size_t device, std::vector<ListedLaunch> launches)>;

/// A source of plans, such as "op cases of linear". Lists the launches on several devices.
struct Workload {
  std::string name;
  std::function<void(const std::vector<vulkan::DeviceCaps>& devices, const DeviceLaunchSink& sink)>
      list;
};

/// All sources: every op, every recorded model in all sizes of steps and both precisions, and every
/// recorded training. If `brief`, without the op cases that only vary others.
std::vector<Workload> every_workload(bool brief);

}  // namespace bitaxon::gpu_code
