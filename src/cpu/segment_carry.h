// The carry of a backward op: what a step hands on to the step before it (training_ops.h).
#pragma once

#include "cpu/kernel.h"

namespace bitaxon::cpu {

struct SegmentCarry {
  const float* in = nullptr;  ///< from the next step; nullptr for zeros
  float* out = nullptr;       ///< for the step before; nullptr if nothing is handed on
};

inline SegmentCarry carry_of(const KernelArgs& args, int operand, const SegmentWords& segment) {
  SegmentCarry carry;
  if (segment.keeps_state != 0) carry.in = args.state(operand, segment, segment.write_version % 2);
  if (segment.position != 0) carry.out = args.state(operand, segment, segment.read_version % 2);
  return carry;
}

}  // namespace bitaxon::cpu
