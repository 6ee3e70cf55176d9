#pragma once

namespace bitaxon {

struct SsmInParams {
  float eps = 0;
};

namespace ssm_in_operand {
enum : int { x, norm, in_proj, in_bias, conv_weight, conv_bias, tail, u, z };
}

}  // namespace bitaxon
