// The memory that training takes on a device, computed before anything is allocated.
#pragma once

#include <cstdint>
#include <vector>

#include "bitaxon/memory.h"
#include "training/base_model.h"
#include "training/train_graphs.h"
#include "training/tuner.h"

namespace bitaxon {

/// The shapes of a run: what is decided before memory is allocated.
struct TunerPlan {
  AdapterSet adapter;
  PassSizes sizes;
  Precision precision = Precision::exact;
  StateLayout layout;
  TrainIndex index;
  std::int64_t step_rows = 0;
  std::int64_t head_rows = 0;  ///< the most target rows of a step of the head
  std::size_t arena_bytes = 0;
  std::uint64_t weight_bytes = 0;
};

/// Throws Error(invalid_argument) for settings that do not fit the model.
TunerPlan plan_tuner(const BaseModel& base, const BackendDescription& device,
                     const TunerOptions& options);

std::vector<MemoryLine> memory_lines(const TunerPlan& plan, const BaseModel& base);

/// Throws OutOfMemory if the device has not enough memory, or if a buffer is larger than a buffer of
/// the device can be.
void check_memory(const TunerPlan& plan, const BaseModel& base, const BackendDescription& device);

}  // namespace bitaxon
