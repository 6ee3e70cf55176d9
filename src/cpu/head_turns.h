// The decoded operands with which attn_append and its gradient turn heads.
#pragma once

#include <algorithm>
#include <limits>

#include "cpu/kernel.h"
#include "cpu/packed_weight.h"
#include "ops/attn_append.h"

namespace bitaxon::cpu {

/// The norms of queries and keys, and the angles of each row. All parts are optional.
struct HeadTurns {
  std::int64_t head_dim;  ///< 0 if no head is turned
  float* q_norm;          ///< [d]
  float* k_norm;          ///< [d]
  float* angles;          ///< [R, d]: a row of the rotary table for each row of the step

  /// The node has the operands q_norm, k_norm and rotary from `first_operand` on.
  HeadTurns(ScratchLayout& layout, const NodeView& node, int first_operand, std::int64_t n_rows)
      : head_dim(turned_head_width(node, first_operand)),
        q_norm(layout.take<float>(node.has(first_operand) ? head_dim : 0)),
        k_norm(layout.take<float>(node.has(first_operand + 1) ? head_dim : 0)),
        angles(layout.take<float>(node.has(first_operand + 2) ? n_rows * head_dim : 0)) {}

  /// Decodes the operands. An absent one becomes null. A position outside the table gets NaN.
  void decode(const KernelArgs& args, int first_operand) {
    if (args.has(first_operand))
      decode_all(args.weight(first_operand), q_norm);
    else
      q_norm = nullptr;
    if (args.has(first_operand + 1))
      decode_all(args.weight(first_operand + 1), k_norm);
    else
      k_norm = nullptr;
    const int table = first_operand + 2;
    if (!args.has(table)) {
      angles = nullptr;
      return;
    }
    for (const SegmentWords& segment : args.segments())
      for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
        float* row = angles + (segment.first_row + i) * head_dim;
        const std::int64_t position = std::int64_t{segment.position} + i;
        if (position < args.shape(table)[1])
          decode_row(args.weight(table), 0, position, row);
        else
          std::fill_n(row, head_dim, std::numeric_limits<float>::quiet_NaN());
      }
  }
};

}  // namespace bitaxon::cpu
