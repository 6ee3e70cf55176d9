#pragma once

#include "ops/selective_scan.h"

namespace bitaxon {

// The parameters are SelectiveScanParams.

/// The operands up to h are those of selective_scan. g_dt is there exactly if dt is.
namespace selective_scan_backward_operand {
enum : int {
  u,
  params,
  dt,
  z,
  dt_weight,
  dt_bias,
  a_log,
  skip,
  b_norm,
  c_norm,
  h,
  g_y,
  carry,
  g_u,
  g_params,
  g_z,
  g_dt
};
}  // namespace selective_scan_backward_operand

}  // namespace bitaxon
