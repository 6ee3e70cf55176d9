#pragma once

namespace bitaxon {

struct SwigluParams {
  float eps = 0;  ///< epsilon of the norm; unused without a norm
};

namespace swiglu_operand {
enum : int { x, norm, gate, up, y };
}

}  // namespace bitaxon
