// A plan bound to memory, as the CPU backend runs it: a list of tasks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "core/plan.h"
#include "cpu/kernel.h"

namespace bitaxon::cpu {

/// One node, ready to run: its kernel and the addresses of its operands.
struct Task {
  void (*run)(const KernelArgs& args) = nullptr;
  NodeView node;
  std::vector<OperandMemory> operands;
  std::byte* scratch = nullptr;
};

/// The executable of the CPU. Owns everything that its pointers refer to.
struct CpuExecutable {
  std::shared_ptr<const Plan> plan;
  PlanContext context;
  std::vector<Task> tasks;
  const std::int32_t* result = nullptr;
  bool measured = false;
};

std::byte* bytes_of(const Buffer& buffer);

/// Makes the tasks of a plan, with vectorized kernels if `vectorized`.
std::shared_ptr<CpuExecutable> bind_tasks(std::shared_ptr<const Plan> plan,
                                          const PlanContext& context, bool vectorized);

/// The time that a task took in a step, with the bytes and operations of the task.
OpTime time_of(const Task& task, const StepBuffer& step,
               std::chrono::duration<double, std::nano> time);

}  // namespace bitaxon::cpu
