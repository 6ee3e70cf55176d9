// The gradient of moe_route, one workgroup for each row.
#include "ops/moe_route_backward.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "shaders/params/moe_experts.h"
#include "shaders/params/moe_route_backward.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace moe_route_backward_operand;

std::vector<Launch> launches(const LaunchContext& context) {
  const auto params = context.params<MoeRouteBackwardParams>();
  const std::int64_t n_experts = context.shape(gate)[1];
  if (n_experts > BX_MOE_MAX_EXPERTS)
    throw Error(ErrorKind::unsupported,
                fmt::format("[moe_route_backward] gate: expected at most {} experts, got {}",
                            BX_MOE_MAX_EXPERTS, n_experts));
  Launch launch;
  launch.shader = Shader::moe_route_backward;
  launch.specialization = {{BX_MOE_ROUTE_BACKWARD_GROUP_SIZE, group_size(context.caps, 256)},
                           {BX_MOE_ROUTE_BACKWARD_FORM, context.form(gate)},
                           {BX_MOE_ROUTE_BACKWARD_NORM_FORM, context.form(norm)},
                           {BX_MOE_ROUTE_BACKWARD_SHARED_FORM, context.form(shared_gate)},
                           {BX_MOE_ROUTE_BACKWARD_RENORMALIZES, params.renormalize},
                           {BX_MOE_ROUTE_BACKWARD_OF_NORMED, context.has(g_normed) ? 1U : 0U},
                           {BX_MOE_ROUTE_BACKWARD_OF_GATES, context.has(g_gates) ? 1U : 0U}};
  launch.set_push(MoeRouteBackwardPush{.norm = context.address(norm),
                                       .gate = context.address(gate),
                                       .shared_gate = context.address(shared_gate),
                                       .d_model = to_uint(context.shape(x)[1]),
                                       .n_experts = to_uint(n_experts),
                                       .top_k = to_uint(context.shape(experts)[1]),
                                       .eps = params.eps});
  const auto bind_or = [&](int operand) {
    return context.bind(context.has(operand) ? operand : gates, Access::read);
  };
  launch.bindings = {context.bind(x, Access::read),
                     context.bind(normed, Access::read),
                     context.bind(experts, Access::read),
                     context.bind(gates, Access::read),
                     bind_or(g_normed),
                     bind_or(g_gates),
                     context.bind(g_x, Access::read_write)};
  launch.grid[0].per = RowSpace::rows;
  return {launch};
}

}  // namespace

const VulkanKernel moe_route_backward_kernel = kernel_without_scratch(launches);

}  // namespace bitaxon::vulkan
