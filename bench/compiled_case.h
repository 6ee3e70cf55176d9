// An op case that is compiled once and runs many times.
#pragma once

#include <cstddef>
#include <vector>

#include "cases/op_case.h"
#include "core/backend.h"
#include "core/step.h"
#include "ops/op.h"

namespace bitaxon::test {

struct CompiledCase {
  Executable executable;
  StepBuffer step;
  Cost cost;

  /// Uploads the inputs of the case. Call this before every step, because a step may overwrite the
  /// memory of its inputs with other values.
  void upload_inputs(Backend& backend) const;

  struct Input {
    std::size_t offset;
    std::vector<std::byte> bytes;
  };
  Buffer arena;
  std::vector<Input> inputs;
};

CompiledCase compile_case(Backend& backend, const OpProblem& problem,
                          Precision precision = Precision::exact);

}  // namespace bitaxon::test
