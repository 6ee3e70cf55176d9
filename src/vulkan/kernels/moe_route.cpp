//   g = softmax(gate @ rms(x));  experts = top_k of g;  gates = g[experts], sigmoid(shared @
//   rms(x))
#include "ops/moe_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "bitaxon/error.h"
#include "shaders/params/moe_route.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace moe_route_operand;

/// The number of threads of a workgroup. There should be one subgroup per logit, so that one pass
/// computes all logits of a row.
std::uint32_t threads_for(const DeviceCaps& caps, std::int64_t n_logits) {
  const std::int64_t threads =
      std::clamp<std::int64_t>(n_logits * caps.max_subgroup_size, 128, 512);
  return group_size(caps, std::bit_ceil(static_cast<std::uint32_t>(threads)));
}

std::vector<Launch> launch(const LaunchContext& context) {
  const auto params = context.params<MoeRouteParams>();
  const std::int64_t n_experts = context.shape(gate)[1];
  if (n_experts > BX_MOE_MAX_EXPERTS)
    throw Error(ErrorKind::unsupported,
                fmt::format("[moe_route] gate: expected at most {} experts, got {}",
                            BX_MOE_MAX_EXPERTS, n_experts));
  Launch launch;
  launch.shader = Shader::moe_route;
  launch.specialization = {{BX_MOE_ROUTE_GROUP_SIZE, threads_for(context.caps, n_experts + 1)},
                           {BX_MOE_ROUTE_FORM, context.form(gate)},
                           {BX_MOE_ROUTE_NORM_FORM, context.form(norm)},
                           {BX_MOE_ROUTE_SHARED_FORM, context.form(shared_gate)},
                           {BX_MOE_ROUTE_RENORMALIZES, params.renormalize},
                           // The choice of experts must not depend on the precision.
                           {BX_MOE_ROUTE_CODES, codes_of_products(context.caps, Precision::exact)}};
  launch.set_push(MoeRoutePush{.norm = context.address(norm),
                               .gate = context.address(gate),
                               .shared_gate = context.address(shared_gate),
                               .d_model = to_uint(context.shape(x)[1]),
                               .n_experts = to_uint(n_experts),
                               .top_k = static_cast<std::uint32_t>(params.top_k),
                               .eps = params.eps});
  launch.bindings = {context.bind(x, Access::read), context.bind(normed, Access::write),
                     context.bind(experts, Access::write), context.bind(gates, Access::write)};
  launch.grid[0].per = RowSpace::rows;
  return {launch};
}

}  // namespace

const VulkanKernel moe_route_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
