#pragma once

namespace bitaxon {

struct SsmConvBackwardParams {};

namespace ssm_conv_backward_operand {
enum : int { vz, conv_weight, conv_bias, tail, g_u, g_z, carry, g_vz };
}

}  // namespace bitaxon
