// What the vectorized scan and its gradient share.
#pragma once

#include "cpu/kernel.h"

namespace bitaxon::cpu {

/// The decays -exp(a_log) * log2(e) as [N, E]. The factor log2(e) allows powers of 2 instead of e.
/// The decays are computed in the first step with this weight and kept.
const float* decays_of(const PackedWeight& a_log);

/// B and C of all rows, [2, N] each, and the distance between two rows.
struct BcRows {
  const float* first = nullptr;
  std::int64_t stride = 0;
};

/// Applies the norms of B and C, if there are any. The node has the operands of selective_scan.
/// norms  [2, N]: receives the decoded weights of the norms, if they are not stored by columns
/// bc     [R, 2, N]: receives B and C after their norms, if there are norms
BcRows find_b_and_c(const KernelArgs& args, float* norms, float* bc);

}  // namespace bitaxon::cpu
