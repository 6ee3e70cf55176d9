#include "vulkan/run/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "bitaxon/error.h"
#include "core/assert.h"
#include "ops/op.h"

namespace bitaxon::vulkan {
namespace {

std::size_t bytes_of(const Value& value) {
  return static_cast<std::size_t>(value.shape.elements()) * size_of(value.dtype);
}

bool allows(Access declared, Access wanted) {
  return declared == wanted || declared == Access::read_write;
}

}  // namespace

Binding LaunchContext::bind(int index, Access access) const {
  BX_ASSERT(has(index), "only an operand that is there can be bound");
  // A node may have several launches, and a later launch may read a result that an earlier one has
  // written.
  const Access declared = operand(index).access;
  BX_ASSERT(declared != Access::read || allows(declared, access),
            "a launch writes only what its node has declared");
  const Value& bound = value(index);
  BX_ASSERT(bound.kind != ValueKind::weight, "weights are reached by their addresses");
  const std::size_t size =
      bound.kind == ValueKind::state
          ? layout_.tensors[static_cast<std::size_t>(bound.state_index)].size_bytes
          : bytes_of(bound);
  return {Binding::Kind::value, access, operand(index).value, 0, size};
}

Binding LaunchContext::scratch(const ScratchPlan::Block& block, Access access) const {
  BX_ASSERT(block.offset_bytes + block.size_bytes <= scratch_bytes_,
            "a block of the node's scratch");
  return {Binding::Kind::scratch, access, -1, block.offset_bytes, block.size_bytes};
}

LaunchContext::StateStrides LaunchContext::strides(int index) const {
  const StateTensor& tensor = layout_.tensors[static_cast<std::size_t>(value(index).state_index)];
  return {to_uint(static_cast<std::int64_t>(tensor.slot_stride_bytes / 4)),
          to_uint(static_cast<std::int64_t>(tensor.version_stride_bytes / 4))};
}

std::uint32_t group_size(const DeviceCaps& caps, std::uint32_t wanted) {
  // Subgroup sizes and the sizes that kernels ask for are powers of two, so the result consists of
  // whole subgroups. A subgroup has at most 128 threads.
  return std::max(std::min(wanted, caps.max_group_invocations), caps.max_subgroup_size);
}

std::int64_t capacity_of(const Graph& graph, RowSpace space) {
  for (const Value& value : graph.values())
    if (value.row_space == space) return value.shape[0];
  return space == RowSpace::segments ? kMaxSegments : kMaxRows;
}

std::uint32_t to_uint(std::int64_t dimension) {
  if (dimension < 0 || dimension > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorKind::unsupported,
                fmt::format("vulkan: a dimension of {}: expected at most 2^32 - 1", dimension));
  return static_cast<std::uint32_t>(dimension);
}

}  // namespace bitaxon::vulkan
