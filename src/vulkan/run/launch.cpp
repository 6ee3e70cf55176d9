#include "vulkan/run/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

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

LaunchContext::PartBinding LaunchContext::bind_part(int index, Access access, std::int64_t first,
                                                    std::int64_t count) const {
  PartBinding part{bind(index, access), 0};
  const auto begin = static_cast<std::size_t>(first) * 4;
  const std::size_t aligned = begin / kBufferAlignment * kBufferAlignment;
  part.offset = static_cast<std::uint32_t>((begin - aligned) / 4);
  part.binding.offset_bytes += aligned;
  part.binding.skipped_bytes = begin - aligned;
  part.binding.size_bytes = begin - aligned + static_cast<std::size_t>(count) * 4;
  if (part.binding.size_bytes > caps.max_storage_buffer_bytes)
    throw Error(ErrorKind::unsupported,
                fmt::format("vulkan: a part of a tensor has {} bytes: expected at most {} "
                            "(maxStorageBufferRange)",
                            part.binding.size_bytes, caps.max_storage_buffer_bytes));
  return part;
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

std::vector<Range> pieces_of(std::int64_t n, std::int64_t most) {
  std::vector<Range> pieces;
  for (std::int64_t first = 0; first < n; first += most)
    pieces.push_back({first, std::min(n, first + most)});
  return pieces;
}

std::int64_t rows_per_binding(const DeviceCaps& caps, std::int64_t n_rows, std::int64_t row_bytes,
                              std::int64_t other_row_bytes) {
  const std::int64_t most_bytes = std::max(row_bytes, other_row_bytes);
  const auto limit = static_cast<std::int64_t>(
      std::min<std::uint64_t>(caps.max_storage_buffer_bytes, std::uint64_t{1} << 62));
  if (n_rows * most_bytes <= limit) return n_rows;
  constexpr std::int64_t kAlignment = kBufferAlignment;
  // gcd(kAlignment, 0) is kAlignment.
  const std::int64_t unit =
      kAlignment / std::min(std::gcd(kAlignment, row_bytes), std::gcd(kAlignment, other_row_bytes));
  const std::int64_t rows = limit / most_bytes / unit * unit;
  if (rows == 0)
    throw Error(ErrorKind::unsupported,
                "vulkan: the rows of a tensor are larger than the device binds at once");
  return rows;
}

Binding rows_of(Binding binding, Range rows, std::int64_t row_bytes) {
  binding.offset_bytes += static_cast<std::size_t>(rows.first * row_bytes);
  binding.size_bytes = static_cast<std::size_t>((rows.end - rows.first) * row_bytes);
  return binding;
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
