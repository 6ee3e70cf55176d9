// A case of an op compiled once, to be run again and again.
#pragma once

#include <cstddef>
#include <vector>

#include "bitaxon/backend.h"
#include "cases/op_case.h"
#include "core/step.h"
#include "ops/op.h"

namespace bitaxon::test {

struct CompiledCase {
  Executable executable;
  StepBuffer step;
  Cost cost;

  /// Before every step: a step's later values may take the memory of inputs that it has read.
  void upload_inputs(Backend& backend) const;

  struct Input {
    std::size_t offset;
    std::vector<std::byte> bytes;
  };
  Buffer arena;
  std::vector<Input> inputs;
};

/// `fast`: products may be of reduced precision.
CompiledCase compile_case(Backend& backend, const OpProblem& problem, bool fast = false);

}  // namespace bitaxon::test
