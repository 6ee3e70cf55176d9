//   y[i, head] = sum_j softmax_j(q[i] . k[j] / sqrt(head_dim)) * v[j],  j <= i, i - j < window
//
// Few rows: the keys of each row are split among workgroups, and a second launch merges the
// results. Many rows: workgroups take blocks of rows that share the keys they read.
#include "ops/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "bitaxon/error.h"
#include "shaders/params/attention_merge.h"
#include "shaders/params/attention_rows.h"
#include "shaders/params/attention_split.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

/// Up to this many rows, each row reads its own keys, since every row may be of a different
/// sequence.
constexpr std::int64_t kMostSplitRows = kMaxSegments;
/// A split with fewer keys than this is not worth a workgroup and its share of the merge.
constexpr std::uint32_t kMinSplitKeys = 64;
/// Units of a head per lane, where a unit is 4 elements. Beyond this, more lanes share a query:
/// each unit costs a lane twelve registers or more.
constexpr std::uint32_t kMostUnits = 5;
constexpr std::uint32_t kMostTileKeys = 32;
constexpr std::uint32_t kUnitBytes = 16;

/// Workgroups that keep a device busy.
std::uint32_t busy_groups(const DeviceCaps& caps) {
  return caps.type == DeviceType::cpu ? 16 : 512;
}

struct Sizes {
  std::int64_t n_rows = 0;
  std::uint32_t n_heads = 0, head_dim = 0, window = 0, capacity = 0;
  bool half = false;

  Sizes(const Graph& graph, const Node& node) {
    using namespace attention_operand;
    const auto value = [&](int index) {
      return graph.value(node.operands[static_cast<std::size_t>(index)].value);
    };
    const auto params = node.params_as<AttentionParams>();
    const Value& ring = value(keys);
    n_rows = value(q).shape[0];
    n_heads = to_uint(params.n_heads);
    head_dim = to_uint(ring.shape[1] / params.n_heads);
    window = to_uint(params.window);
    capacity = to_uint(ring.shape[0]);
    half = ring.dtype == DType::f16;
  }
  std::uint32_t units() const { return (head_dim + 3) / 4; }
};

/// How the units of a head are divided among lanes.
struct Lanes {
  std::uint32_t lanes = 1;           ///< lanes that share a query
  std::uint32_t units_per_lane = 1;  ///< units in each lane

  Lanes(const Sizes& sizes, const DeviceCaps& caps) {
    const auto per_lane = [&] { return (sizes.units() + lanes - 1) / lanes; };
    while (lanes < caps.min_subgroup_size && per_lane() > kMostUnits) lanes *= 2;
    units_per_lane = per_lane();
  }
  std::uint32_t stride() const { return lanes * units_per_lane; }
};

/// Few rows: attention_split, attention_merge.
struct SplitPlan {
  std::uint32_t group = 0;
  std::uint32_t n_splits = 1;
  ScratchPlan::Block totals, weighted;
  std::size_t scratch_bytes = 0;

  SplitPlan(const Sizes& sizes, const Lanes& lanes, const DeviceCaps& caps) {
    const auto rows = static_cast<std::uint32_t>(sizes.n_rows);
    const std::uint32_t wanted = busy_groups(caps) / (sizes.n_heads * rows);
    const std::uint32_t useful = (sizes.window + kMinSplitKeys - 1) / kMinSplitKeys;
    n_splits = std::clamp(std::min(wanted, useful), 1U, BX_ATTENTION_MERGE_MAX_SPLITS + 0U);
    // The subgroups combine their sums in shared memory.
    const std::uint32_t most_subgroups =
        std::max(caps.max_shared_bytes / 2 / (lanes.stride() * kUnitBytes), 1U);
    group = group_size(caps, std::bit_floor(most_subgroups * caps.min_subgroup_size));
    group = std::min(group, group_size(caps));
    if (group / caps.min_subgroup_size > most_subgroups)
      throw Error(ErrorKind::unsupported,
                  fmt::format("[attention] a head of {} elements: expected fewer on this device",
                              sizes.head_dim));
    ScratchPlan scratch;
    const std::int64_t parts = sizes.n_rows * sizes.n_heads * n_splits;
    totals = scratch.take(2 * parts);
    weighted = scratch.take(4 * parts * sizes.units());
    scratch_bytes = scratch.size_bytes();
  }
};

/// Many rows: attention_rows.
struct RowsPlan {
  std::uint32_t group = 0;
  std::uint32_t queries = 1;
  std::uint32_t tile_keys = 0;  ///< 0: not even one key fits into shared memory

  RowsPlan(const Sizes& sizes, const Lanes& lanes, const DeviceCaps& caps) {
    group = group_size(caps);
    const std::uint32_t rows_of_two = 2 * group / lanes.lanes;
    const auto rows = static_cast<std::uint32_t>(sizes.n_rows);
    // Two queries share the keys that a lane loads, but need twice the registers and half the
    // workgroups.
    if (sizes.n_heads * ((rows + rows_of_two - 1) / rows_of_two) * 2 >= busy_groups(caps))
      queries = 2;
    tile_keys = std::min(caps.max_shared_bytes / (2 * lanes.stride() * kUnitBytes), kMostTileKeys);
  }
  std::uint32_t rows_per_group(const Lanes& lanes) const { return group / lanes.lanes * queries; }
};

bool is_split(const Sizes& sizes, const Lanes& lanes, const DeviceCaps& caps) {
  return sizes.n_rows <= kMostSplitRows || RowsPlan(sizes, lanes, caps).tile_keys == 0;
}

std::vector<SpecConstant> lane_constants(const Sizes& sizes, const Lanes& lanes,
                                         std::uint32_t group) {
  return {{BX_ATTENTION_GROUP_SIZE, group},
          {BX_ATTENTION_HALF, sizes.half ? 1U : 0U},
          {BX_ATTENTION_ALIGNED, sizes.head_dim % 4 == 0 ? 1U : 0U},
          {BX_ATTENTION_LANES, lanes.lanes},
          {BX_ATTENTION_UNITS, lanes.units_per_lane}};
}

AttentionPush push_of(const LaunchContext& context, const Sizes& sizes) {
  using namespace attention_operand;
  const std::uint32_t per_word = sizes.half ? 2 : 1;
  return {.n_heads = sizes.n_heads,
          .head_dim = sizes.head_dim,
          .window = sizes.window,
          .capacity = sizes.capacity,
          .keys_stride = context.strides(keys).slot * per_word,
          .values_stride = context.strides(values).slot * per_word,
          .n_splits = 1,
          .min_split_keys = kMinSplitKeys,
          .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(sizes.head_dim)))};
}

std::vector<Binding> ring_bindings(const LaunchContext& context) {
  using namespace attention_operand;
  const Binding k = context.bind(keys, Access::read);
  const Binding v = context.bind(values, Access::read);
  return {context.step(), context.bind(q, Access::read), k, k, v, v};
}

std::vector<Launch> split_launches(const LaunchContext& context, const Sizes& sizes,
                                   const Lanes& lanes) {
  const SplitPlan plan(sizes, lanes, context.caps);
  AttentionPush push = push_of(context, sizes);
  push.n_splits = plan.n_splits;
  const auto part = [&](const ScratchPlan::Block& block, Access access) {
    return context.scratch(block.offset_bytes, block.size_bytes, access);
  };
  const GridAxis rows{.per = RowSpace::rows};

  Launch split;
  split.shader = Shader::attention_split;
  split.specialization = lane_constants(sizes, lanes, plan.group);
  split.specialization.push_back(
      {BX_ATTENTION_SPLIT_SUBGROUPS, plan.group / context.caps.min_subgroup_size});
  split.set_push(push);
  split.bindings = ring_bindings(context);
  split.bindings.push_back(part(plan.totals, Access::write));
  split.bindings.push_back(part(plan.weighted, Access::write));
  split.grid = {GridAxis{sizes.n_heads}, GridAxis{plan.n_splits}, rows};

  Launch merge;
  merge.shader = Shader::attention_merge;
  merge.specialization = {{BX_ATTENTION_MERGE_GROUP_SIZE, group_size(context.caps)}};
  merge.set_push(push);
  merge.bindings = {context.step(), part(plan.totals, Access::read),
                    part(plan.weighted, Access::read),
                    context.bind(attention_operand::y, Access::write)};
  merge.grid = {GridAxis{sizes.n_heads}, rows, GridAxis{}};
  return {split, merge};
}

Launch rows_launch(const LaunchContext& context, const Sizes& sizes, const Lanes& lanes) {
  const RowsPlan plan(sizes, lanes, context.caps);
  Launch launch;
  launch.shader = Shader::attention_rows;
  launch.specialization = lane_constants(sizes, lanes, plan.group);
  launch.specialization.push_back({BX_ATTENTION_ROWS_QUERIES, plan.queries});
  launch.specialization.push_back({BX_ATTENTION_ROWS_TILE_KEYS, plan.tile_keys});
  launch.set_push(push_of(context, sizes));
  launch.bindings = ring_bindings(context);
  launch.bindings.push_back(context.bind(attention_operand::y, Access::write));
  launch.grid = {GridAxis{sizes.n_heads},
                 GridAxis{.per = RowSpace::rows, .rows_per_group = plan.rows_per_group(lanes)},
                 GridAxis{}};
  return launch;
}

std::vector<Launch> launch(const LaunchContext& context) {
  const Sizes sizes(context.graph, context.node);
  const Lanes lanes(sizes, context.caps);
  if (is_split(sizes, lanes, context.caps)) return split_launches(context, sizes, lanes);
  return {rows_launch(context, sizes, lanes)};
}

std::size_t workspace(const Graph& graph, const Node& node, const DeviceCaps& caps) {
  const Sizes sizes(graph, node);
  const Lanes lanes(sizes, caps);
  return is_split(sizes, lanes, caps) ? SplitPlan(sizes, lanes, caps).scratch_bytes : 0;
}

}  // namespace

const VulkanKernel attention_kernel{workspace, launch};

}  // namespace bitaxon::vulkan
