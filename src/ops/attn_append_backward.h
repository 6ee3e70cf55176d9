#pragma once

#include "ops/attn_append.h"

namespace bitaxon {

// The parameters are AttnAppendParams.

namespace attn_append_backward_operand {
enum : int { q, k, q_norm, k_norm, rotary, g_y, g_keys, g_values, g_q, g_k, g_v };
}

}  // namespace bitaxon
