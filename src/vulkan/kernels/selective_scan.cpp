//   dt' = clip(softplus(raw + dt_bias)), raw = dt or r * dt_weight;  a = -exp(a_log)
//   h = exp(dt' * a) * h + dt' * u * B;   y = (h . C + skip * u) * silu(z)
//   B and C are RMS-normalized first if there are norms.
#include "vulkan/kernels/selective_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "bitaxon/error.h"
#include "ops/linear.h"
#include "ops/selective_scan.h"
#include "shaders/params/selective_scan_dt.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace selective_scan_operand;

/// The number of threads of a workgroup. It is small, because small workgroups spread the channels
/// over more processors of the device.
constexpr std::uint32_t kGroupSize = 64;
/// The number of lanes that keep a large GPU busy. If the channels use fewer lanes, a step of
/// kRowsWorthChunks rows or more is also split into chunks of rows.
constexpr std::int64_t kLanesToFill = 1 << 18;
constexpr std::int64_t kRowsWorthChunks = 256;
constexpr std::int64_t kChunkRows = 64;
/// The largest number of states per channel. The states of a channel must fit in registers, and the
/// loops over them are unrolled.
constexpr std::int64_t kMostStates = 256;
/// With more states than this, a lane has too few registers, so more lanes share a channel.
constexpr std::uint32_t kMostLaneStates = 8;
/// A workgroup must have at least four channels (selective_scan_dt).
constexpr std::uint32_t kMostLanes = 16;

/// A device may lack infinity, so this bound stands for none.
constexpr float kMostFloat = std::numeric_limits<float>::max();

struct ScanPlan {
  ScanSizes sizes;
  ScanVariant variant;
  ScratchPlan scratch;
  ScratchPlan::Block states;   ///< [places, N, E]; used only if there are chunks
  ScratchPlan::Block dt_sums;  ///< [places, E]; used only if there are chunks

  ScanPlan(const NodeView& node, const DeviceCaps& caps)
      : sizes{node.shape(u)[0], node.shape(a_log)[1], node.shape(a_log)[2]},
        variant(choose_scan(caps, sizes)) {
    if (variant.chunk_rows == 0) return;
    // A chunk that is not the last chunk of its segment has exactly chunk_rows rows and a place in
    // these arrays. The last chunk of a segment has at least one row and no place.
    const std::int64_t places = std::max<std::int64_t>(1, (sizes.n_rows - 1) / variant.chunk_rows);
    states = scratch.take(places * sizes.d_state * sizes.d_inner);
    dt_sums = scratch.take(places * sizes.d_inner);
  }
};

/// The part of a launch that is the same for whole segments and for chunks.
Launch rows_launch(const LaunchContext& context, const ScanPlan& plan) {
  const std::uint32_t group = group_size(context.caps, kGroupSize);
  const auto options = context.params<SelectiveScanParams>();
  const ScanColumns columns(context);
  const auto strides = context.strides(h);
  Launch launch;
  launch.specialization = {{BX_SELECTIVE_SCAN_GROUP_SIZE, group},
                           {BX_SELECTIVE_SCAN_D_STATE, to_uint(plan.sizes.d_state)},
                           {BX_SELECTIVE_SCAN_LANES, plan.variant.lanes},
                           {BX_SELECTIVE_SCAN_ROWS_AHEAD, plan.variant.rows_ahead},
                           {BX_SELECTIVE_SCAN_A_LOG_FORM, context.form(a_log)},
                           {BX_SELECTIVE_SCAN_DT_WEIGHT_FORM, context.form(dt_weight)},
                           {BX_SELECTIVE_SCAN_HAS_NORMS, context.has(b_norm) ? 1U : 0U}};
  launch.set_push(SelectiveScanPush{.dt_weight = context.address(dt_weight),
                                    .dt_bias = context.address(dt_bias),
                                    .a_log = context.address(a_log),
                                    .skip = context.address(skip),
                                    .b_norm = context.address(b_norm).data,
                                    .c_norm = context.address(c_norm).data,
                                    .d_inner = to_uint(plan.sizes.d_inner),
                                    .params_width = to_uint(columns.width),
                                    .first_b = to_uint(columns.first),
                                    .slot_stride = strides.slot,
                                    .version_stride = strides.version,
                                    .chunk_rows = to_uint(plan.variant.chunk_rows),
                                    .dt_min = options.dt_min,
                                    .dt_max = std::min(options.dt_max, kMostFloat),
                                    .eps = options.eps});
  launch.bindings = {context.step(),
                     context.bind(u, Access::read),
                     context.bind(params, Access::read),
                     context.bind(context.has(dt) ? dt : params, Access::read),
                     context.bind(z, Access::read),
                     context.bind(h, Access::read_write),
                     context.bind(y, Access::write)};
  launch.grid[0].count = groups_for(plan.sizes.d_inner * plan.variant.lanes, group);
  return launch;
}

Launch whole_launch(const LaunchContext& context, const ScanPlan& plan) {
  Launch launch = rows_launch(context, plan);
  launch.shader = Shader::selective_scan;
  launch.grid[1] = {.per = RowSpace::segments};
  return launch;
}

Launch chunk_launch(const LaunchContext& context, const ScanPlan& plan, bool replay) {
  Launch launch = rows_launch(context, plan);
  launch.shader = Shader::selective_scan_chunk;
  launch.specialization.push_back({BX_SELECTIVE_SCAN_CHUNK_REPLAY, replay ? 1U : 0U});
  launch.bindings.push_back(context.scratch(plan.states, Access::read_write));
  launch.bindings.push_back(context.scratch(plan.dt_sums, Access::read_write));
  launch.grid[1] = {.per = RowSpace::rows, .rows_per_group = to_uint(plan.variant.chunk_rows)};
  launch.grid[2] = {.per = RowSpace::segments};
  return launch;
}

Launch carry_launch(const LaunchContext& context, const ScanPlan& plan) {
  const std::uint32_t group = group_size(context.caps);
  Launch launch;
  launch.shader = Shader::selective_scan_carry;
  launch.specialization = {{BX_SELECTIVE_SCAN_CARRY_GROUP_SIZE, group},
                           {BX_SELECTIVE_SCAN_CARRY_A_LOG_FORM, context.form(a_log)}};
  launch.set_push(SelectiveScanCarryPush{.a_log = context.address(a_log),
                                         .d_inner = to_uint(plan.sizes.d_inner),
                                         .d_state = to_uint(plan.sizes.d_state),
                                         .chunk_rows = to_uint(plan.variant.chunk_rows)});
  launch.bindings = {context.step(), context.scratch(plan.dt_sums, Access::read),
                     context.scratch(plan.states, Access::read_write)};
  launch.grid[0].count = groups_for(plan.sizes.d_inner * plan.sizes.d_state, group);
  launch.grid[1] = {.per = RowSpace::segments};
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const ScanPlan& plan) {
  if (plan.variant.chunk_rows == 0) return {whole_launch(context, plan)};
  return {chunk_launch(context, plan, false), carry_launch(context, plan),
          chunk_launch(context, plan, true)};
}

/// The most rows for which each row multiplies by dt_weight alone. The rows of a segment do so one
/// after the other.
constexpr std::int64_t kMostDtRows = 4;

/// Whether `product` gives the time steps of `scan`, from the first columns of its parameters, and
/// there are few rows.
bool fits(const NodeView& product, const NodeView& scan) {
  namespace of = linear_operand;
  if (op_of(product.node()) != OpId::linear || op_of(scan.node()) != OpId::selective_scan)
    return false;
  const auto options = product.params<LinearParams>();
  const bool is_plain =
      !product.has(of::bias) && !product.has(of::residual) && options.select != RowSelect::outputs;
  return is_plain && product.shape(of::x)[0] <= kMostDtRows && scan.has(dt) &&
         scan.operand(dt).value == product.operand(of::y).value &&
         scan.operand(params).value == product.operand(of::x).value &&
         (!product.has(of::norm) || !scan.has(b_norm) ||
          options.eps == scan.params<SelectiveScanParams>().eps);
}

std::vector<Launch> joint_launches(const LaunchContext& product, const LaunchContext& scan) {
  namespace of = linear_operand;
  const ScanPlan plan(scan, scan.caps);
  Launch launch = whole_launch(scan, plan);
  SelectiveScanPush push;
  std::memcpy(&push, launch.push.data(), sizeof(push));
  launch.shader = Shader::selective_scan_dt;
  launch.specialization.push_back({BX_SELECTIVE_SCAN_DT_FORM, product.form(of::weight)});
  launch.specialization.push_back({BX_SELECTIVE_SCAN_DT_HAS_NORM, product.has(of::norm) ? 1U : 0U});
  // The time step must be float32-exact in both precisions.
  launch.specialization.push_back(
      {BX_SELECTIVE_SCAN_DT_CODES, codes_of_products(scan.caps, Precision::exact)});
  launch.specialization.push_back({BX_SELECTIVE_SCAN_DT_ROWS, to_uint(plan.sizes.n_rows)});
  launch.set_push(SelectiveScanDtPush{
      .dt_weight = product.address(of::weight),
      .dt_bias = push.dt_bias,
      .a_log = push.a_log,
      .skip = push.skip,
      .b_norm = push.b_norm,
      .c_norm = push.c_norm,
      .dt_norm = product.address(of::norm).data,
      .dt_rank = to_uint(product.shape(of::weight)[2]),
      .d_inner = push.d_inner,
      .params_width = push.params_width,
      .first_b = push.first_b,
      .slot_stride = push.slot_stride,
      .version_stride = push.version_stride,
      .dt_min = push.dt_min,
      .dt_max = push.dt_max,
      .eps = product.has(of::norm) ? product.params<LinearParams>().eps : push.eps});
  launch.bindings[3] = product.bind(of::y, Access::write);
  return {launch};
}

}  // namespace

const JointKernel selective_scan_dt_kernel{
    fits,
    [](const NodeView&, const NodeView& scan, const DeviceCaps& caps) {
      return ScanPlan(scan, caps).scratch.size_bytes();
    },
    joint_launches};

ScanVariant choose_scan(const DeviceCaps& caps, const ScanSizes& sizes) {
  if (sizes.d_state > kMostStates)
    throw Error(ErrorKind::unsupported,
                fmt::format("[selective_scan] a_log: expected at most {} states, got {}",
                            kMostStates, sizes.d_state));
  ScanVariant variant;
  // On a CPU, which has few lanes, sharing a channel among lanes and loading rows ahead only cost
  // time.
  if (caps.type == DeviceType::cpu) return variant;
  while (variant.lanes < 4 && variant.lanes * 2 <= sizes.d_state) variant.lanes *= 2;
  const auto states_per_lane = [&] {
    return static_cast<std::uint32_t>(divide_up<std::int64_t>(sizes.d_state, variant.lanes));
  };
  const std::uint32_t most_lanes = std::min(kMostLanes, caps.min_subgroup_size);
  while (states_per_lane() > kMostLaneStates && variant.lanes * 2 <= most_lanes) variant.lanes *= 2;
  variant.rows_ahead = std::bit_floor(std::clamp(16 / states_per_lane(), 1U, 4U));
  // The number of segments is not known here. A step of many rows usually has one segment, so this
  // choice assumes one.
  if (sizes.n_rows >= kRowsWorthChunks && sizes.d_inner * variant.lanes < kLanesToFill)
    variant.chunk_rows = kChunkRows;
  return variant;
}

const VulkanKernel selective_scan_kernel = kernel_with_plan<ScanPlan, launches>();

}  // namespace bitaxon::vulkan
