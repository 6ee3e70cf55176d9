#pragma once

namespace bitaxon {

struct SelectiveScanParams {
  // Bounds of the time step: upstream clips to them, so they are part of the model.
  float dt_min = 1e-4F;
  float dt_max = 100.0F;
};

namespace selective_scan_operand {
enum : int { u, bcr, z, dt_weight, dt_bias, a_log, skip, h, y };
}

}  // namespace bitaxon
