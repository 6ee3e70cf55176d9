#pragma once

namespace bitaxon {

struct AttnInParams {
  float eps = 0;
};

namespace attn_in_operand {
enum : int { x, norm, q_proj, k_proj, v_proj, keys, values, q };
}

}  // namespace bitaxon
