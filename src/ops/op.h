// The table of ops, with the name and the cost of each op. The list of ops is generated from the
// list in src/ops/CMakeLists.txt.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/gradient.h"
#include "core/node_view.h"

namespace bitaxon {

enum class OpId : std::uint16_t {
#define BX_OP(name) name,
#include "ops/op_list.inc"
#undef BX_OP
};

inline constexpr int kOpCount = 0
#define BX_OP(name) +1
#include "ops/op_list.inc"
#undef BX_OP
    ;

/// The valid sizes of a step, on which a cost depends. There are n_segments equal segments, of
/// n_rows / n_segments rows each.
struct StepSizes {
  std::int64_t n_rows = 1;
  std::int64_t n_segments = 1;
  std::int64_t n_outputs = 1;
  std::int64_t position = 0;  ///< position of the first row of each segment
};
/// The sizes of a step, treating its segments as equal.
StepSizes sizes_of(const StepBuffer& step);
/// The rows of a tensor that are valid in a step; 1 for RowSpace::none.
std::int64_t rows_in(RowSpace space, const StepSizes& sizes);

/// The cost of a node: bytes moved from and to memory, and floating-point operations (a multiply
/// and an add are two). The cost is an upper bound if it depends on data, such as the choice of
/// experts.
struct Cost {
  std::int64_t bytes = 0;
  std::int64_t flops = 0;
  /// Bytes that every schedule must move: the stored bytes of each weight, counted once, and the
  /// keys and values that are read.
  std::int64_t stored_bytes = 0;

  Cost& operator+=(const Cost& other) {
    bytes += other.bytes;
    flops += other.flops;
    stored_bytes += other.stored_bytes;
    return *this;
  }
};

struct OpInfo {
  std::string_view name;
  Cost (*cost)(const NodeView& node, const StepSizes& sizes);
  /// Records the backward nodes of a node. nullptr if the op has no gradient: its results are not
  /// differentiable, or training records the parts of a fused op instead.
  GradientRule gradient = nullptr;
};

// Each src/ops/<op>.cpp defines the OpInfo of its op.
#define BX_OP(name) extern const OpInfo name##_info;
#include "ops/op_list.inc"
#undef BX_OP

const OpInfo& op_info(OpId op);
inline OpId op_of(const Node& node) { return static_cast<OpId>(node.op); }
inline const OpInfo& op_info(const Node& node) { return op_info(op_of(node)); }
inline Cost cost_of(const NodeView& node, const StepSizes& sizes) {
  return op_info(node.node()).cost(node, sizes);
}

/// The rules of all ops.
const GradientRules& gradient_rules();

}  // namespace bitaxon
