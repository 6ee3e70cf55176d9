// One case of the selective scan.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cases/op_case.h"

namespace bitaxon::test {

struct ScanSpec {
  Format format = Format::f32;
  std::int64_t d_inner = 48;
  std::int64_t d_state = 8;
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;
  double u_spread = 1;
  double z_spread = 1;
  double dt_bias = -3;  ///< softplus makes 0.05 of the value -3
  double dt_spread = 1;
  double a_log = 0.5;
  double a_log_spread = 1;
  /// Whether the time step has full rank: it is an input of the op. Then `params` may have columns
  /// before B.
  bool full_rank = false;
  std::int64_t columns_before = 0;
  double params_spread = 1;
  bool norms = false;
  float eps = 1e-6F;  ///< of the norms
  std::optional<TimeStepClip> clip = TimeStepClip{1e-4F, 100};
  /// Whether the input has NaN: in one channel from row 1 on, in all channels from row 4 on. With
  /// full rank, dt also has NaN in another channel from row 2 on.
  bool nan = false;
  /// The values of r in the first rows. A NaN in r makes all channels NaN from its row on. Later
  /// rows have random values.
  std::vector<float> rates = {};
};

/// A case with the error bounds of the float32 recurrence.
OpCase scan_case(std::string label, unsigned tags, ScanSpec spec);

}  // namespace bitaxon::test
