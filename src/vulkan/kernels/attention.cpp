//   y[i, head] = sum_j softmax_j(q[i] . k[j] / sqrt(head_dim)) * v[j],  j <= i, i - j < window
//
// For few rows, the keys of each row are split among workgroups, and a second launch merges the
// results. For many rows, each workgroup takes a block of rows and reads the keys of all these rows
// together.
#include "ops/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

#include "bitaxon/error.h"
#include "shaders/params/attention_merge.h"
#include "shaders/params/attention_rows.h"
#include "shaders/params/attention_split.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

/// Steps with at most this many rows read the keys of each row separately, because every row may
/// belong to a different sequence.
constexpr std::int64_t kMostSplitRows = kMaxSegments;
/// The fewest keys of a part. For fewer keys, a workgroup of its own and the work of merging its
/// result do not pay off.
constexpr std::uint32_t kMinSplitKeys = 64;
/// The largest number of units of a head that one lane holds. A unit is 4 elements and takes twelve
/// or more registers of a lane. For larger heads, more lanes share a query.
constexpr std::uint32_t kMostUnits = 5;
constexpr std::uint32_t kMostTileKeys = 32;
constexpr std::uint32_t kUnitBytes = 16;

/// The number of workgroups that keeps a device busy.
std::uint32_t busy_groups(const DeviceCaps& caps) {
  return caps.type == DeviceType::cpu ? 16 : 512;
}

struct Sizes {
  std::int64_t n_rows = 0;
  std::uint32_t n_heads = 0, head_dim = 0, window = 0, capacity = 0;
  bool half = false;

  explicit Sizes(const NodeView& node) {
    using namespace attention_operand;
    const auto params = node.params<AttentionParams>();
    const Value& ring = node.value(keys);
    if (params.n_heads != params.n_kv_heads)
      throw Error(ErrorKind::unsupported,
                  "[attention] grouped heads: expected another device than vulkan");
    n_rows = node.shape(q)[0];
    n_heads = to_uint(params.n_heads);
    head_dim = to_uint(ring.shape[1] / params.n_heads);
    window = to_uint(params.window);
    capacity = to_uint(ring.shape[0]);
    half = ring.dtype == DType::f16;
  }
  std::uint32_t units() const { return divide_up(head_dim, 4); }
};

/// How the units of a head are divided among lanes.
struct Lanes {
  std::uint32_t lanes = 1;           ///< lanes that share a query
  std::uint32_t units_per_lane = 1;  ///< units that each of these lanes holds

  Lanes(const Sizes& sizes, const DeviceCaps& caps) {
    const auto per_lane = [&] { return divide_up(sizes.units(), lanes); };
    while (lanes < caps.min_subgroup_size && per_lane() > kMostUnits) lanes *= 2;
    units_per_lane = per_lane();
  }
  std::uint32_t stride() const { return lanes * units_per_lane; }
};

/// The plan for few rows, with the shaders attention_split and attention_merge.
struct SplitPlan {
  std::uint32_t group = 0;
  std::uint32_t n_splits = 1;
  ScratchPlan::Block totals;    ///< [R, heads, n_splits, 2]
  ScratchPlan::Block weighted;  ///< [R, heads, n_splits, units, 4]

  SplitPlan(const Sizes& sizes, const Lanes& lanes, const DeviceCaps& caps, ScratchPlan& scratch) {
    const auto rows = static_cast<std::uint32_t>(sizes.n_rows);
    const std::uint32_t wanted = busy_groups(caps) / (sizes.n_heads * rows);
    const std::uint32_t useful = divide_up(sizes.window, kMinSplitKeys);
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
    const std::int64_t parts = sizes.n_rows * sizes.n_heads * n_splits;
    totals = scratch.take(2 * parts);
    weighted = scratch.take(4 * parts * sizes.units());
  }
};

/// The plan for many rows, with the shader attention_rows.
struct RowsPlan {
  std::uint32_t group = 0;
  std::uint32_t queries = 1;
  std::uint32_t tile_keys = 0;  ///< 0 if not even one key fits into shared memory

  RowsPlan(const Sizes& sizes, const Lanes& lanes, const DeviceCaps& caps) {
    group = group_size(caps);
    const std::uint32_t rows_of_two = 2 * group / lanes.lanes;
    const auto rows = static_cast<std::uint32_t>(sizes.n_rows);
    // With two queries per group of lanes, the lanes load each key once for both queries, but need
    // twice the registers, and there are half as many workgroups. So use two queries only if enough
    // workgroups remain.
    if (sizes.n_heads * divide_up(rows, rows_of_two) * 2 >= busy_groups(caps)) queries = 2;
    tile_keys = std::min(caps.max_shared_bytes / (2 * lanes.stride() * kUnitBytes), kMostTileKeys);
  }
  std::uint32_t rows_per_group(const Lanes& lanes) const { return group / lanes.lanes * queries; }
};

struct AttentionPlan {
  Sizes sizes;
  Lanes lanes;
  RowsPlan rows;
  ScratchPlan scratch;
  std::optional<SplitPlan> split;  ///< empty for many rows, where `rows` is used instead

  AttentionPlan(const NodeView& node, const DeviceCaps& caps)
      : sizes(node), lanes(sizes, caps), rows(sizes, lanes, caps) {
    if (sizes.n_rows <= kMostSplitRows || rows.tile_keys == 0)
      split.emplace(sizes, lanes, caps, scratch);
  }
};

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

std::vector<Launch> split_launches(const LaunchContext& context, const AttentionPlan& plan,
                                   const SplitPlan& parts) {
  AttentionPush push = push_of(context, plan.sizes);
  push.n_splits = parts.n_splits;
  const GridAxis rows{.per = RowSpace::rows};

  Launch split;
  split.shader = Shader::attention_split;
  split.specialization = lane_constants(plan.sizes, plan.lanes, parts.group);
  split.specialization.push_back(
      {BX_ATTENTION_SPLIT_SUBGROUPS, parts.group / context.caps.min_subgroup_size});
  split.set_push(push);
  split.bindings = ring_bindings(context);
  split.bindings.push_back(context.scratch(parts.totals, Access::write));
  split.bindings.push_back(context.scratch(parts.weighted, Access::write));
  split.grid = {GridAxis{plan.sizes.n_heads}, GridAxis{parts.n_splits}, rows};

  Launch merge;
  merge.shader = Shader::attention_merge;
  merge.specialization = {{BX_ATTENTION_MERGE_GROUP_SIZE, group_size(context.caps)}};
  merge.set_push(push);
  merge.bindings = {context.step(), context.scratch(parts.totals, Access::read),
                    context.scratch(parts.weighted, Access::read),
                    context.bind(attention_operand::y, Access::write)};
  merge.grid = {GridAxis{plan.sizes.n_heads}, rows, GridAxis{}};
  return {split, merge};
}

Launch rows_launch(const LaunchContext& context, const AttentionPlan& plan) {
  const RowsPlan& rows = plan.rows;
  Launch launch;
  launch.shader = Shader::attention_rows;
  launch.specialization = lane_constants(plan.sizes, plan.lanes, rows.group);
  launch.specialization.push_back({BX_ATTENTION_ROWS_QUERIES, rows.queries});
  launch.specialization.push_back({BX_ATTENTION_ROWS_TILE_KEYS, rows.tile_keys});
  launch.set_push(push_of(context, plan.sizes));
  launch.bindings = ring_bindings(context);
  launch.bindings.push_back(context.bind(attention_operand::y, Access::write));
  launch.grid = {GridAxis{plan.sizes.n_heads},
                 GridAxis{.per = RowSpace::rows, .rows_per_group = rows.rows_per_group(plan.lanes)},
                 GridAxis{}};
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const AttentionPlan& plan) {
  if (plan.split) return split_launches(context, plan, *plan.split);
  return {rows_launch(context, plan)};
}

}  // namespace

const VulkanKernel attention_kernel = kernel_with_plan<AttentionPlan, launches>();

}  // namespace bitaxon::vulkan
