#pragma once

namespace bitaxon {

struct AttnInParams {
  float eps = 0;
};

namespace attn_in_operand {
enum : int {
  x,
  norm,
  q_proj,
  k_proj,
  v_proj,
  q_bias,
  k_bias,
  v_bias,
  q_norm,
  k_norm,
  rotary,
  keys,
  values,
  q
};
}

}  // namespace bitaxon
