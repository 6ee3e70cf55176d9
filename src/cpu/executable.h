// A plan bound to memory. The CPU backend runs it as a list of tasks.
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

/// A node that is ready to run, with its kernel and the addresses of its operands.
struct Task {
  void (*run)(const KernelArgs& args) = nullptr;
  NodeView node;
  std::vector<OperandMemory> operands;
  std::byte* scratch = nullptr;
};

/// The executable of the CPU backend. Owns everything that its pointers refer to.
struct CpuExecutable {
  std::shared_ptr<const Plan> plan;
  PlanContext context;
  std::vector<Task> tasks;
  const std::int32_t* result = nullptr;
  bool measured = false;
};

std::byte* bytes_of(const Buffer& buffer);

/// Binds a plan to memory and makes its tasks. If `vectorized`, the tasks use vectorized kernels.
std::shared_ptr<CpuExecutable> bind_tasks(std::shared_ptr<const Plan> plan,
                                          const PlanContext& context, bool vectorized);

/// A record of the time that a task took in a step, and of the task's bytes and operations.
OpTime time_of(const Task& task, const StepBuffer& step,
               std::chrono::duration<double, std::nano> time);

}  // namespace bitaxon::cpu
