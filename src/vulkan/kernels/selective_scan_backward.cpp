// The gradients of selective_scan, in three launches: B and C after their norms; the scan in both
// directions; and the gradient of params, from the sums of all workgroups.
#include "ops/selective_scan_backward.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "bitaxon/error.h"
#include "shaders/params/selective_scan_backward.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace selective_scan_backward_operand;

constexpr std::uint32_t kGroupSize = 64;
/// The largest number of states per channel.
constexpr std::int64_t kMostStates = 256;
/// The largest number of states per lane of a GPU. A lane holds five numbers for each state. NVIDIA's
/// open compiler does not unroll the loops over more states.
constexpr std::int64_t kMostLaneStates = 8;
constexpr std::uint32_t kMostLanes = 32;
/// A device may lack infinity, so this bound stands for none.
constexpr float kMostFloat = std::numeric_limits<float>::max();

struct BackwardPlan {
  std::int64_t n_rows, d_inner, d_state;
  std::uint32_t lanes = 1;  ///< lanes that share a channel
  std::uint32_t group = 0, n_groups = 0;
  std::int64_t first_sums;
  ScratchPlan scratch;
  ScratchPlan::Block bc;    ///< [R, 2, N]
  ScratchPlan::Block work;  ///< see selective_scan_backward.comp
  ScratchPlan::Block no_dt;

  BackwardPlan(const NodeView& node, const DeviceCaps& caps)
      : n_rows(node.shape(u)[0]), d_inner(node.shape(a_log)[1]), d_state(node.shape(a_log)[2]) {
    if (d_state > kMostStates)
      throw Error(ErrorKind::unsupported,
                  fmt::format("[selective_scan_backward] a_log: expected at most {} states, got {}",
                              kMostStates, d_state));
    const std::uint32_t most_lanes = std::min(caps.min_subgroup_size, kMostLanes);
    while (caps.type != DeviceType::cpu && lanes * kMostLaneStates < d_state &&
           2 * lanes <= most_lanes)
      lanes *= 2;
    group = group_size(caps, kGroupSize);
    n_groups = groups_for(d_inner * lanes, group);
    const std::int64_t n_borders = divide_up<std::int64_t>(n_rows, BX_SCAN_TILE_ROWS);
    first_sums = (n_borders + BX_SCAN_TILE_ROWS + 1) * d_state * d_inner;
    bc = scratch.take(n_rows * 2 * d_state);
    work = scratch.take(first_sums + std::int64_t{n_groups} * n_rows * (2 * d_state + 1));
    if (!node.has(dt)) no_dt = scratch.take(1);
  }
};

Launch bc_launch(const LaunchContext& context, const BackwardPlan& plan) {
  const ScanColumns columns(context);
  const std::uint32_t group = group_size(context.caps);
  Launch launch;
  launch.shader = Shader::selective_scan_bc;
  launch.specialization = {{BX_SELECTIVE_SCAN_BC_GROUP_SIZE, group},
                           {BX_SELECTIVE_SCAN_BC_HAS_NORMS, context.has(b_norm) ? 1U : 0U}};
  launch.set_push(SelectiveScanBcPush{.b_norm = context.address(b_norm).data,
                                      .c_norm = context.address(c_norm).data,
                                      .d_state = to_uint(plan.d_state),
                                      .params_width = to_uint(columns.width),
                                      .first_b = to_uint(columns.first),
                                      .eps = context.params<SelectiveScanParams>().eps});
  launch.bindings = {context.step(), context.bind(params, Access::read),
                     context.scratch(plan.bc, Access::write)};
  launch.grid[0].count = groups_for(2 * plan.n_rows, group);
  return launch;
}

Launch scan_launch(const LaunchContext& context, const BackwardPlan& plan) {
  const ScanColumns columns(context);
  const auto options = context.params<SelectiveScanParams>();
  const auto of_h = context.strides(h);
  const auto of_carry = context.strides(carry);
  Launch launch;
  launch.shader = Shader::selective_scan_backward;
  launch.specialization = {{BX_SELECTIVE_SCAN_BACKWARD_GROUP_SIZE, plan.group},
                           {BX_SELECTIVE_SCAN_BACKWARD_D_STATE, to_uint(plan.d_state)},
                           {BX_SELECTIVE_SCAN_BACKWARD_A_LOG_FORM, context.form(a_log)},
                           {BX_SELECTIVE_SCAN_BACKWARD_DT_WEIGHT_FORM, context.form(dt_weight)},
                           {BX_SELECTIVE_SCAN_BACKWARD_LANES, plan.lanes}};
  launch.set_push(SelectiveScanBackwardPush{.dt_weight = context.address(dt_weight),
                                            .dt_bias = context.address(dt_bias),
                                            .a_log = context.address(a_log),
                                            .skip = context.address(skip),
                                            .d_inner = to_uint(plan.d_inner),
                                            .params_width = to_uint(columns.width),
                                            .h_slot = of_h.slot,
                                            .h_version = of_h.version,
                                            .carry_slot = of_carry.slot,
                                            .carry_version = of_carry.version,
                                            .n_rows = to_uint(plan.n_rows),
                                            .first_sums = to_uint(plan.first_sums),
                                            .dt_min = options.dt_min,
                                            .dt_max = std::min(options.dt_max, kMostFloat)});
  launch.bindings = {context.step(),
                     context.bind(u, Access::read),
                     context.scratch(plan.bc, Access::read),
                     context.bind(context.has(dt) ? dt : params, Access::read),
                     context.bind(z, Access::read),
                     context.bind(h, Access::read),
                     context.bind(g_y, Access::read),
                     context.bind(carry, Access::read_write),
                     context.bind(g_u, Access::write),
                     context.bind(g_z, Access::write),
                     context.has(dt) ? context.bind(g_dt, Access::write)
                                     : context.scratch(plan.no_dt, Access::write),
                     context.scratch(plan.work, Access::read_write)};
  launch.grid[0].count = plan.n_groups;
  return launch;
}

Launch params_launch(const LaunchContext& context, const BackwardPlan& plan) {
  const ScanColumns columns(context);
  Launch launch;
  launch.shader = Shader::selective_scan_params;
  launch.specialization = {
      {BX_SELECTIVE_SCAN_PARAMS_GROUP_SIZE, group_size(context.caps, kGroupSize)},
      {BX_SELECTIVE_SCAN_PARAMS_HAS_NORMS, context.has(b_norm) ? 1U : 0U},
      {BX_SELECTIVE_SCAN_PARAMS_HAS_RATE, context.has(dt) ? 0U : 1U}};
  launch.set_push(SelectiveScanParamsPush{.b_norm = context.address(b_norm).data,
                                          .c_norm = context.address(c_norm).data,
                                          .d_state = to_uint(plan.d_state),
                                          .params_width = to_uint(columns.width),
                                          .first_b = to_uint(columns.first),
                                          .n_rows = to_uint(plan.n_rows),
                                          .n_groups = plan.n_groups,
                                          .first_sums = to_uint(plan.first_sums),
                                          .eps = context.params<SelectiveScanParams>().eps});
  launch.bindings = {context.bind(params, Access::read), context.scratch(plan.work, Access::read),
                     context.bind(g_params, Access::read_write)};
  launch.grid[0] = {.per = RowSpace::rows};
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const BackwardPlan& plan) {
  return {bc_launch(context, plan), scan_launch(context, plan), params_launch(context, plan)};
}

}  // namespace

const VulkanKernel selective_scan_backward_kernel = kernel_with_plan<BackwardPlan, launches>();

}  // namespace bitaxon::vulkan
