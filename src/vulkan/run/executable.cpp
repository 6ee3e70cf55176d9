#include "vulkan/run/executable.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "core/assert.h"
#include "core/state_layout.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

/// The sizes of the largest step that this graph can run.
StepSizes largest_sizes(const Graph& graph) {
  return {.n_rows = capacity_of(graph, RowSpace::rows),
          .n_segments = capacity_of(graph, RowSpace::segments),
          .n_outputs = capacity_of(graph, RowSpace::outputs)};
}

/// Resolves the bindings of the launches of one node.
class Resolver {
 public:
  Resolver(const VulkanExecutable& executable, const DeviceCaps& caps, std::size_t place)
      : executable_(executable), caps_(caps), place_(place) {}

  const Node& node() const { return executable_.plan->node(place_).node(); }

  BoundRange resolve(const Binding& binding) const {
    BoundRange range{VK_NULL_HANDLE, binding.offset_bytes, binding.size_bytes, binding.access,
                     binding.skipped_bytes};
    const Plan& plan = *executable_.plan;
    switch (binding.kind) {
      case Binding::Kind::step:
        range.size_bytes += executable_.context.table_words * sizeof(StepWord);
        break;
      case Binding::Kind::scratch:
        range.buffer = device_buffer(executable_.context.arena).handle();
        range.offset_bytes += plan.scratch[place_].offset_bytes;
        break;
      case Binding::Kind::counters:
        range.buffer = executable_.counters->handle();
        break;
      case Binding::Kind::value: {
        const Value& value = plan.graph->value(binding.value);
        if (value.kind == ValueKind::state) {
          const Buffer& buffer =
              executable_.context.state[static_cast<std::size_t>(value.state_index)];
          range.buffer = device_buffer(buffer).handle();
          if (value.page_group >= 0) range.size_bytes = buffer.size_bytes;
        } else {
          range.buffer = device_buffer(executable_.context.arena).handle();
          range.offset_bytes += plan.values[static_cast<std::size_t>(binding.value)].offset_bytes;
        }
        break;
      }
    }
    if (range.size_bytes > caps_.max_storage_buffer_bytes)
      fail(fmt::format("{} of {} bytes: expected at most {} (maxStorageBufferRange)",
                       describe(binding), range.size_bytes, caps_.max_storage_buffer_bytes));
    BX_ASSERT(range.size_bytes > 0 && range.size_bytes % 4 == 0 &&
                  range.offset_bytes % kBufferAlignment == 0,
              "a binding is of whole words and aligned");
    return range;
  }

  void check_grid(const Launch& launch) const {
    const auto groups = groups_of(launch, largest_sizes(*executable_.plan->graph));
    for (std::size_t axis = 0; axis < 3; ++axis)
      if (groups[axis] > caps_.max_group_count[axis])
        fail(fmt::format("{} work groups of {}: expected at most {} (maxComputeWorkGroupCount)",
                         groups[axis], name_of(launch.shader), caps_.max_group_count[axis]));
  }

 private:
  std::string describe(const Binding& binding) const {
    if (binding.kind == Binding::Kind::step) return "the step buffer";
    if (binding.kind == Binding::Kind::scratch) return "scratch";
    if (binding.kind == Binding::Kind::counters) return "counters";
    const Value& value = executable_.plan->graph->value(binding.value);
    if (value.kind != ValueKind::state) return "activations";
    const auto& tensors = executable_.context.state_layout->tensors;
    return "state " + tensors[static_cast<std::size_t>(value.state_index)].name;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::unsupported,
                fmt::format("vulkan: {} [{}]: {}; try another device (bit-axon devices lists them)",
                            op_info(node()).name, node().label, what));
  }

  const VulkanExecutable& executable_;
  const DeviceCaps& caps_;
  std::size_t place_;
};

/// The cost of a node, and of the one joined with it, in a step that fills the bucket and begins at
/// position 0.
Cost full_cost_of(const Plan& plan, std::size_t place) {
  Cost cost;
  plan.visit_joined(place, [&](const NodeView& node) {
    StepSizes sizes;
    for (const Operand& operand : node.node().operands) {
      if (operand.value < 0) continue;
      const Value& value = node.graph().value(operand.value);
      if (value.row_space == RowSpace::rows) sizes.n_rows = value.shape[0];
      if (value.row_space == RowSpace::outputs) sizes.n_outputs = value.shape[0];
    }
    cost += cost_of(node, sizes);
  });
  return cost;
}

/// Makes the grid independent of the step where possible: if the bucket has room for only one row,
/// segment or output, every step has exactly one.
void settle_grid(Launch& launch, const Graph& graph) {
  for (GridAxis& axis : launch.grid)
    if (axis.per != RowSpace::none && capacity_of(graph, axis.per) == 1) axis.per = RowSpace::none;
}

/// Gives each launch its own counters. Returns the bytes of all of them.
std::size_t place_counters(std::vector<std::vector<Launch>>& launches) {
  std::size_t size_bytes = 0;
  for (std::vector<Launch>& of_node : launches)
    for (Launch& launch : of_node)
      for (Binding& binding : launch.bindings) {
        if (binding.kind != Binding::Kind::counters) continue;
        binding.offset_bytes = size_bytes;
        size_bytes += align_up(binding.size_bytes, kBufferAlignment);
      }
  return size_bytes;
}

}  // namespace

std::string ops_at(const Plan& plan, std::size_t place) {
  std::string names;
  plan.visit_joined(place, [&](const NodeView& node) {
    if (!names.empty()) names += '+';
    names += op_info(node.node()).name;
  });
  return names;
}

Cost cost_at(const Plan& plan, std::size_t place, const StepSizes& sizes) {
  Cost cost;
  plan.visit_joined(place, [&](const NodeView& node) { cost += cost_of(node, sizes); });
  return cost;
}

void bind_launches(VulkanExecutable& executable, const DeviceCaps& caps, PipelineLibrary& pipelines,
                   const AllocateZeros& allocate_zeros) {
  const Plan& plan = *executable.plan;
  const Graph& graph = *plan.graph;
  std::vector<std::vector<Launch>> launches =
      launches_of(plan, *executable.context.state_layout, executable.context.precision, caps);
  if (const std::size_t size_bytes = place_counters(launches); size_bytes > 0)
    executable.counters = allocate_zeros(size_bytes);
  for (std::size_t place = 0; place < plan.order.size(); ++place) {
    const Resolver resolver(executable, caps, place);
    const std::string name =
        fmt::format("{} {}", plan.node(place).node().label, ops_at(plan, place));
    bool first = true;
    for (Launch& launch : launches[place]) {
      BoundLaunch bound;
      settle_grid(launch, graph);
      resolver.check_grid(launch);
      for (const Binding& binding : launch.bindings)
        bound.ranges.push_back(resolver.resolve(binding));
      if (!launch.indirect.empty()) bound.indirect = resolver.resolve(launch.indirect[0]);
      bound.pipeline = &pipelines.find(launch);
      bound.label = fmt::format("{}: {}", name, name_of(launch.shader));
      if (first) bound.cost = full_cost_of(plan, place);
      first = false;
      bound.node = static_cast<std::int32_t>(place);
      bound.launch = std::move(launch);
      executable.launches.push_back(std::move(bound));
    }
  }
  BX_ASSERT(!executable.launches.empty(), "a plan has a node");
  executable.label = fmt::format("{} .. {} ({} dispatches)", executable.launches.front().label,
                                 executable.launches.back().label, executable.launches.size());
  if (graph.result() < 0) return;
  const auto result = static_cast<std::size_t>(graph.result());
  executable.result =
      BoundRange{device_buffer(executable.context.arena).handle(), plan.values[result].offset_bytes,
                 plan.values[result].size_bytes, Access::read};
}

Recording& VulkanExecutable::recording_for(std::uint64_t done, const Device& device,
                                           MemoryAllocator& memory) {
  for (const auto& recording : recordings)
    if (recording->ticket <= done) return *recording;
  recordings.push_back(
      std::make_unique<Recording>(device, memory, launches, result, context.table_words, options));
  return *recordings.back();
}

}  // namespace bitaxon::vulkan
