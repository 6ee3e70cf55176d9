#pragma once

namespace bitaxon {

struct RmsNormParams {
  float eps = 0;
};

namespace rms_norm_operand {
enum : int { x, norm, y };
}

}  // namespace bitaxon
