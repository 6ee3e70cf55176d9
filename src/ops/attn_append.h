#pragma once

#include <cstdint>
#include <string_view>

#include "bitaxon/training_ops.h"
#include "core/node_view.h"

namespace bitaxon {

struct AttnAppendParams {
  float eps = 0;
};

namespace attn_append_operand {
enum : int { q, k, v, q_norm, k_norm, rotary, keys, values, y };
}

/// Checks the operands that are as wide as a head, for rows of queries and keys of these widths.
void check_head_weights(std::string_view op, const AttnAppendWeights& weights, float eps,
                        std::int64_t q_width, std::int64_t kv_width);
/// The parameters that the op and its gradient record.
AttnAppendParams append_params(const AttnAppendWeights& weights, float eps);
/// The width of a head of a node that normalizes or rotates heads, else 0. The node has the operands
/// q_norm, k_norm and rotary one after the other, from `first_operand` on.
std::int64_t turned_head_width(const NodeView& node, int first_operand);
/// The stored bytes of these operands that a step of n_rows rows reads.
std::int64_t head_weight_bytes(const NodeView& node, int first_operand, std::int64_t n_rows);

}  // namespace bitaxon
