#include "cpu/executable.h"

#include <fmt/format.h>

#include "core/assert.h"
#include "core/state_layout.h"
#include "ops/op.h"

namespace bitaxon::cpu {
namespace {

OperandMemory memory_of(const Plan& plan, const PlanContext& context, const Operand& operand) {
  OperandMemory memory;
  if (operand.value < 0) return memory;
  const Value& value = plan.graph->value(operand.value);
  switch (value.kind) {
    case ValueKind::weight:
      memory.weight = static_cast<const PackedWeight*>(value.weight->packed.get());
      break;
    case ValueKind::state: {
      const auto index = static_cast<std::size_t>(value.state_index);
      const StateTensor& tensor = context.state_layout->tensors[index];
      BX_ASSERT(index < context.state.size(), "every state tensor has a buffer");
      BX_ASSERT(
          tensor.kind == StateKind::paged || context.state[index].size_bytes >= tensor.size_bytes,
          "the state's buffers hold its tensors");
      memory.data = bytes_of(context.state[index]);
      memory.slot_stride_bytes = tensor.slot_stride_bytes;
      memory.version_stride_bytes = tensor.version_stride_bytes;
      break;
    }
    case ValueKind::activation:
    case ValueKind::input:
      memory.data = bytes_of(context.arena) +
                    plan.values[static_cast<std::size_t>(operand.value)].offset_bytes;
      break;
  }
  return memory;
}

}  // namespace

std::byte* bytes_of(const Buffer& buffer) { return static_cast<std::byte*>(buffer.memory.get()); }

std::shared_ptr<CpuExecutable> bind_tasks(std::shared_ptr<const Plan> plan,
                                          const PlanContext& context, bool vectorized) {
  BX_ASSERT(context.arena.size_bytes >= plan->arena_bytes, "the arena holds the plan");
  auto executable = std::make_shared<CpuExecutable>();
  const Graph& graph = *plan->graph;
  for (std::size_t i = 0; i < plan->order.size(); ++i) {
    const NodeView node = plan->node(i);
    Task task{.run = kernel_of(op_of(node.node()), vectorized).run,
              .node = node,
              .operands = {},
              .scratch = bytes_of(context.arena) + plan->scratch[i].offset_bytes};
    for (const Operand& operand : node.node().operands)
      task.operands.push_back(memory_of(*plan, context, operand));
    executable->tasks.push_back(std::move(task));
  }
  if (graph.result() >= 0)
    executable->result = reinterpret_cast<const std::int32_t*>(
        bytes_of(context.arena) +
        plan->values[static_cast<std::size_t>(graph.result())].offset_bytes);
  executable->plan = std::move(plan);
  executable->context = context;
  return executable;
}

OpTime time_of(const Task& task, const StepBuffer& step,
               std::chrono::duration<double, std::nano> time) {
  const OpInfo& op = op_info(task.node.node());
  const Cost cost = op.cost(task.node, sizes_of(step));
  return {.op = std::string(op.name),
          .label = fmt::format("{} {}", task.node.node().label, op.name),
          .time_ns = time.count(),
          .bytes = cost.bytes,
          .flops = cost.flops};
}

}  // namespace bitaxon::cpu
