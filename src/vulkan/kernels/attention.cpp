//   y[i, head] = sum_j softmax_j(q[i] . k[j] / sqrt(head_dim)) * v[j],  j <= i, i - j < window
//
// For few rows, the keys of each row are split among workgroups, and the last workgroup of a row
// merges the results. For many rows, each workgroup takes a block of rows and reads the keys of all these rows
// together.
#include "ops/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

#include "bitaxon/error.h"
#include "shaders/params/attention_rows.h"
#include "shaders/params/attention_split.h"
#include "vulkan/kernels/attention_matrix.h"
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
/// AMD's compute units have 64 KiB. With 16 KiB, eight subgroups of 64 lanes fit on each.
constexpr std::uint32_t kMostTileBytes = 16384;
constexpr std::uint32_t kStepKeys = 8;
constexpr std::uint32_t kUnitBytes = 16;

/// The number of workgroups that keeps a device busy.
std::uint32_t busy_groups(const DeviceCaps& caps) {
  return caps.type == DeviceType::cpu ? 16 : 512;
}

/// The most units of all queries together that one lane holds, if several heads of queries share a
/// workgroup.
constexpr std::uint32_t kMostSharedUnits = 8;
/// Keys and values of float32 take twice the registers while they are loaded. Then this is the most
/// units that one lane holds of all queries and of a key together.
constexpr std::uint32_t kMostFloatUnits = 10;
constexpr std::uint32_t kMostShared = 8;

struct Sizes {
  std::int64_t n_rows = 0;
  std::uint32_t n_heads = 0, n_kv_heads = 0, head_dim = 0;
  std::uint32_t window = 0;  ///< UINT32_MAX without a window
  bool half = false;

  explicit Sizes(const NodeView& node) {
    using namespace attention_operand;
    const auto params = node.params<AttentionParams>();
    const Value& pages = node.value(keys);
    n_rows = node.shape(q)[0];
    n_heads = to_uint(params.n_heads);
    n_kv_heads = to_uint(params.n_kv_heads);
    head_dim = to_uint(pages.shape[1] / params.n_kv_heads);
    window = params.window == 0 ? UINT32_MAX : to_uint(params.window);
    half = pages.dtype == DType::f16;
  }
  std::uint32_t units() const { return divide_up(head_dim, 4); }
};

/// How the heads of queries are divided among workgroups, and the units of a head among lanes.
struct Lanes {
  std::uint32_t shared = 1;          ///< heads of queries of a workgroup
  std::uint32_t lanes = 1;           ///< lanes that share a query
  std::uint32_t units_per_lane = 1;  ///< units that each of these lanes holds

  /// `shared` is the number of heads of queries of a workgroup. It divides n_heads / n_kv_heads.
  /// `most_units` is the most units that a lane holds, unless too few lanes share a query.
  Lanes(const Sizes& sizes, const DeviceCaps& caps, std::uint32_t n_shared,
        std::uint32_t most_units)
      : shared(n_shared) {
    const auto per_lane = [&] { return divide_up(sizes.units(), lanes); };
    while (lanes < caps.min_subgroup_size && per_lane() > most_units) lanes *= 2;
    units_per_lane = per_lane();
  }
  std::uint32_t stride() const { return lanes * units_per_lane; }
};

/// The most units of a lane of the shader attention_split for `shared` queries. It may be 0. A
/// lane also holds the same units of a key and of a value.
std::uint32_t most_split_units(const Sizes& sizes, const DeviceCaps& caps, std::uint32_t shared) {
  std::uint32_t most = shared > 1 ? kMostSharedUnits / shared : kMostUnits;
  if (!sizes.half && caps.type != DeviceType::cpu)
    most = std::min(most, kMostFloatUnits / (shared + 1));
  return caps.few_registers ? std::min(most, kMostSharedUnits / (shared + 1)) : most;
}

/// Lanes for the shader attention_split. Takes the most heads of queries whose units fit a lane, and
/// whose number divides the heads that share a head of keys.
Lanes split_lanes(const Sizes& sizes, const DeviceCaps& caps) {
  const std::uint32_t all = sizes.n_heads / sizes.n_kv_heads;
  for (std::uint32_t n = std::min(all, kMostShared); n > 1; --n) {
    const std::uint32_t most = most_split_units(sizes, caps, n);
    const Lanes lanes(sizes, caps, n, most);
    if (all % n == 0 && lanes.units_per_lane <= most) return lanes;
  }
  return {sizes, caps, 1, most_split_units(sizes, caps, 1)};
}

/// Lanes for the shader attention_rows. There a group of lanes holds one or two queries, however
/// many heads share a workgroup. A power of two of heads does, so that a block has whole rows.
Lanes row_lanes(const Sizes& sizes, const DeviceCaps& caps) {
  Lanes lanes(sizes, caps, 1, kMostUnits);
  const std::uint32_t all = sizes.n_heads / sizes.n_kv_heads;
  lanes.shared = std::min({all & (~all + 1), kMostShared, group_size(caps) / lanes.lanes});
  return lanes;
}

/// The plan for few rows, with the shader attention_split.
struct SplitPlan {
  std::uint32_t group = 0;
  std::uint32_t n_splits = 1;
  ScratchPlan::Block totals;    ///< [R, heads, n_splits, 2]
  ScratchPlan::Block weighted;  ///< [R, heads, n_splits, units, 4]

  SplitPlan(const Sizes& sizes, const Lanes& lanes, const DeviceCaps& caps, ScratchPlan& scratch) {
    const auto rows = static_cast<std::uint32_t>(sizes.n_rows);
    const std::uint32_t wanted = busy_groups(caps) / (sizes.n_heads / lanes.shared * rows);
    const std::uint32_t useful = (sizes.window - 1) / kMinSplitKeys + 1;
    n_splits = std::clamp(std::min(wanted, useful), 1U, BX_ATTENTION_MAX_SPLITS + 0U);
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
    // workgroups remain. Intel's subgroups of 8 have only 128 registers for each lane.
    const bool has_registers = caps.type == DeviceType::cpu || caps.min_subgroup_size > 8;
    if (has_registers &&
        sizes.n_heads / lanes.shared * divide_up(rows * lanes.shared, rows_of_two) * 2 >=
            busy_groups(caps))
      queries = 2;
    tile_keys = std::min(tile_bytes(caps) / (2 * lanes.stride() * kUnitBytes), kMostTileKeys);
    // Only whole steps of the shader are fast.
    if (tile_keys > kStepKeys) tile_keys -= tile_keys % kStepKeys;
  }
  /// The shared memory for a tile. On a GPU, several workgroups share the memory of a compute unit.
  static std::uint32_t tile_bytes(const DeviceCaps& caps) {
    return caps.type == DeviceType::cpu ? caps.max_shared_bytes
                                        : std::min(caps.max_shared_bytes, kMostTileBytes);
  }
  std::uint32_t rows_per_group(const Lanes& lanes) const {
    return group / lanes.lanes * queries / lanes.shared;
  }
};

struct AttentionPlan {
  Sizes sizes;
  Lanes lanes;
  RowsPlan rows;
  ScratchPlan scratch;
  std::optional<SplitPlan> split;  ///< empty for many rows, where `rows` is used instead

  AttentionPlan(const NodeView& node, const DeviceCaps& caps)
      : sizes(node), lanes(row_lanes(sizes, caps)), rows(sizes, lanes, caps) {
    if (sizes.n_rows > kMostSplitRows && rows.tile_keys > 0) return;
    lanes = split_lanes(sizes, caps);
    split.emplace(sizes, lanes, caps, scratch);
  }
};

std::vector<SpecConstant> lane_constants(const Sizes& sizes, const Lanes& lanes,
                                         std::uint32_t group) {
  return {{BX_ATTENTION_GROUP_SIZE, group},
          {BX_ATTENTION_HALF, sizes.half ? 1U : 0U},
          {BX_ATTENTION_ALIGNED, sizes.head_dim % 4 == 0 ? 1U : 0U},
          {BX_ATTENTION_LANES, lanes.lanes},
          {BX_ATTENTION_UNITS, lanes.units_per_lane},
          {BX_ATTENTION_SHARED, lanes.shared}};
}

AttentionPush push_of(const LaunchContext& context, const Sizes& sizes) {
  return {.n_heads = sizes.n_heads,
          .n_kv_heads = sizes.n_kv_heads,
          .head_dim = sizes.head_dim,
          .window = sizes.window,
          .page_group = context.page_group(attention_operand::keys),
          .n_splits = 1,
          .min_split_keys = kMinSplitKeys,
          .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(sizes.head_dim)))};
}

std::vector<Binding> input_bindings(const LaunchContext& context) {
  using namespace attention_operand;
  const Binding k = context.bind(keys, Access::read);
  const Binding v = context.bind(values, Access::read);
  return {context.step(), context.bind(q, Access::read), k, k, v, v};
}

Launch split_launch(const LaunchContext& context, const AttentionPlan& plan,
                    const SplitPlan& parts) {
  AttentionPush push = push_of(context, plan.sizes);
  push.n_splits = parts.n_splits;
  const std::uint32_t n_groups = plan.sizes.n_heads / plan.lanes.shared;
  Launch launch;
  launch.shader = Shader::attention_split;
  launch.specialization = lane_constants(plan.sizes, plan.lanes, parts.group);
  launch.specialization.push_back(
      {BX_ATTENTION_SPLIT_SUBGROUPS, parts.group / context.caps.min_subgroup_size});
  launch.set_push(push);
  launch.bindings = input_bindings(context);
  launch.bindings.push_back(context.scratch(parts.totals, Access::read_write));
  launch.bindings.push_back(context.scratch(parts.weighted, Access::read_write));
  launch.bindings.push_back(context.bind(attention_operand::y, Access::write));
  launch.bindings.push_back(context.counters(plan.sizes.n_rows * n_groups));
  launch.grid = {GridAxis{n_groups}, GridAxis{parts.n_splits}, GridAxis{.per = RowSpace::rows}};
  return launch;
}

Launch rows_launch(const LaunchContext& context, const AttentionPlan& plan) {
  const RowsPlan& rows = plan.rows;
  Launch launch;
  launch.shader = Shader::attention_rows;
  launch.specialization = lane_constants(plan.sizes, plan.lanes, rows.group);
  launch.specialization.push_back({BX_ATTENTION_ROWS_QUERIES, rows.queries});
  launch.specialization.push_back({BX_ATTENTION_ROWS_TILE_KEYS, rows.tile_keys});
  launch.set_push(push_of(context, plan.sizes));
  launch.bindings = input_bindings(context);
  launch.bindings.push_back(context.bind(attention_operand::y, Access::write));
  launch.grid = {GridAxis{plan.sizes.n_heads / plan.lanes.shared},
                 GridAxis{.per = RowSpace::rows, .rows_per_group = rows.rows_per_group(plan.lanes)},
                 GridAxis{}};
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const AttentionPlan& plan) {
  if (plan.split) return {split_launch(context, plan, *plan.split)};
  if (auto launch = attention_matrix_launch(context, push_of(context, plan.sizes)))
    return {*launch};
  return {rows_launch(context, plan)};
}

}  // namespace

const VulkanKernel attention_kernel = kernel_with_plan<AttentionPlan, launches>();

}  // namespace bitaxon::vulkan
