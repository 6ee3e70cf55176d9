#pragma once

namespace bitaxon {

struct SsmConvParams {};

namespace ssm_conv_operand {
enum : int { vz, conv_weight, conv_bias, tail, u, z };
}

}  // namespace bitaxon
