// A case of an op compiled once, to be run again and again.
#pragma once

#include "bitaxon/backend.h"
#include "cases/op_case.h"
#include "core/step.h"
#include "ops/op.h"

namespace bitaxon::test {

struct CompiledCase {
  Executable executable;
  StepBuffer step;
  Cost cost;
};

/// `fast`: products may be of reduced precision.
CompiledCase compile_case(Backend& backend, const OpProblem& problem, bool fast = false);

}  // namespace bitaxon::test
