// A backend that executes nothing. It lists the launches of every plan that is compiled on it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/plan.h"
#include "ops/op.h"
#include "vulkan/device/device_caps.h"
#include "vulkan/run/hazard_tracker.h"
#include "vulkan/run/launch.h"

namespace bitaxon::gpu_code {

/// A launch of a plan.
struct ListedLaunch {
  vulkan::Launch launch;
  std::string label;        ///< such as "layer_3 ssm_in"
  std::size_t node = 0;     ///< the index of its node in Plan::order
  std::size_t of_node = 1;  ///< the number of launches of the node
  /// What the launch reads and writes. Memory 0 is the arena, memory 1 + i is tensor i of the state.
  std::vector<vulkan::MemoryAccess> accesses = {};
};

/// The launches of a plan on a device with these properties, in order.
std::vector<ListedLaunch> launches_of(const Plan& plan, const StateLayout& layout,
                                      Precision precision, const vulkan::DeviceCaps& caps);

/// Receives the launches of each compiled plan.
using LaunchSink = std::function<void(std::vector<ListedLaunch> launches)>;

/// Weights have no contents, buffers no memory, and every result is zero.
class ListingBackend final : public Backend {
 public:
  ListingBackend(const vulkan::DeviceCaps& caps, LaunchSink sink);

  const BackendCaps& caps() const override { return caps_; }
  std::shared_ptr<const BackendDescription> description() const override { return description_; }
  Buffer allocate(std::size_t size_bytes, BufferUse) override { return {size_bytes, nullptr}; }
  void upload(const Buffer&, std::size_t, std::span<const std::byte>) override {}
  void download(const Buffer& buffer, std::size_t offset, std::span<std::byte> to) override;
  void copy(std::span<const BufferCopy>) override {}
  void finish() override {}
  std::shared_ptr<const Weight> pack(const WeightDesc& desc, const WeightParts& parts) override;
  Executable compile(std::shared_ptr<const Plan> plan, const PlanContext& context) override;
  Ticket submit(const Executable& executable, const StepBuffer& step) override;
  StepResult wait(Ticket ticket) override;
  StepCounts last_step() const override { return {}; }

 private:
  vulkan::DeviceCaps device_;
  LaunchSink sink_;
  BackendCaps caps_;
  std::shared_ptr<const BackendDescription> description_;
  std::uint64_t n_submitted_ = 0;
};

}  // namespace bitaxon::gpu_code
