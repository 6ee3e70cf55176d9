#include "gpu_code/listing_backend.h"

#include <algorithm>
#include <array>

#include "core/state_layout.h"
#include "core/step.h"
#include "vulkan/description.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::gpu_code {
namespace {

std::vector<vulkan::MemoryAccess> accesses_of(const vulkan::Launch& launch, const Plan& plan,
                                              std::size_t place) {
  std::vector<vulkan::Binding> bindings = launch.bindings;
  bindings.insert(bindings.end(), launch.indirect.begin(), launch.indirect.end());
  std::vector<vulkan::MemoryAccess> accesses;
  for (const vulkan::Binding& binding : bindings) {
    // The step is only read, and no other launch has the same counters.
    if (binding.kind == vulkan::Binding::Kind::step ||
        binding.kind == vulkan::Binding::Kind::counters)
      continue;
    vulkan::MemoryAccess access{0, binding.offset_bytes + binding.skipped_bytes,
                                binding.size_bytes - binding.skipped_bytes, binding.access};
    if (binding.kind == vulkan::Binding::Kind::scratch) {
      access.offset_bytes += plan.scratch[place].offset_bytes;
    } else if (const Value& value = plan.graph->value(binding.value);
               value.kind == ValueKind::state) {
      access.memory = static_cast<std::uint64_t>(value.state_index) + 1;
    } else {
      access.offset_bytes += plan.values[static_cast<std::size_t>(binding.value)].offset_bytes;
    }
    accesses.push_back(access);
  }
  return accesses;
}

}  // namespace

std::vector<ListedLaunch> launches_of(const Plan& plan, const StateLayout& layout,
                                      Precision precision, const vulkan::DeviceCaps& caps) {
  std::vector<ListedLaunch> listed;
  std::vector<std::vector<vulkan::Launch>> launches =
      vulkan::launches_of(plan, layout, precision, caps);
  for (std::size_t place = 0; place < plan.order.size(); ++place) {
    const Node& node = plan.node(place).node();
    for (vulkan::Launch& launch : launches[place]) {
      ListedLaunch& added = listed.emplace_back();
      added.accesses = accesses_of(launch, plan, place);
      added.launch = std::move(launch);
      added.label = node.label + " " + std::string(op_info(node).name);
      added.node = place;
      added.of_node = launches[place].size();
    }
  }
  return listed;
}

ListingBackend::ListingBackend(const vulkan::DeviceCaps& caps, LaunchSink sink)
    : device_(caps), sink_(std::move(sink)), description_(vulkan::describe_device(caps)) {
  caps_.name = "vulkan";
  caps_.device = caps.name;
}

void ListingBackend::download(const Buffer&, std::size_t, std::span<std::byte> to) {
  std::ranges::fill(to, std::byte{0});
}

std::shared_ptr<const Weight> ListingBackend::pack(const WeightDesc& desc, const WeightParts&) {
  return description_->describe(desc);
}

Executable ListingBackend::compile(std::shared_ptr<const Plan> plan, const PlanContext& context) {
  sink_(gpu_code::launches_of(*plan, *context.state_layout, context.precision, device_));
  return {std::make_shared<std::shared_ptr<const Plan>>(std::move(plan))};
}

Ticket ListingBackend::submit(const Executable&, const StepBuffer&) { return {++n_submitted_}; }

StepResult ListingBackend::wait(Ticket) {
  static constexpr std::array<std::int32_t, kMaxSegments> kTokens{};
  return {.tokens = kTokens};
}

}  // namespace bitaxon::gpu_code
