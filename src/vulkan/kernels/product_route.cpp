//   y = w @ x + bias + residual, for a single row, and the router that reads y
//
// Joins the nodes linear and moe_route. The router alone would be a launch of a single workgroup.
#include "shaders/params/product_route.h"

#include "ops/linear.h"
#include "ops/moe_route.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan/kernels/product.h"
#include "vulkan/kernels/team_sums.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace linear_operand;
namespace router = moe_route_operand;

constexpr std::uint32_t kOutsPerSubgroup = 4;

std::uint32_t outs_per_group(const DeviceCaps& caps, std::uint32_t group) {
  return subgroups_per_group(caps, group) * kOutsPerSubgroup;
}

struct ProductRoutePlan {
  std::int64_t d_model, n_experts;
  ScratchPlan scratch;
  TeamSums sums;  ///< [., X + 2]: the logits, and the sum of squares

  // If the device chooses smaller subgroups, or if workgroups are larger, there are fewer workgroups.
  ProductRoutePlan(const NodeView& product, const NodeView& route, const DeviceCaps& caps)
      : d_model(product.shape(y)[1]),
        n_experts(route.shape(router::gate)[1]),
        sums(scratch, groups_for(d_model, outs_per_group(caps, group_size(caps))), n_experts + 2) {}
};

/// Whether `route` routes the single row that `product` computes from a row of the step.
bool fits(const NodeView& product, const NodeView& route) {
  return op_of(product.node()) == OpId::linear && op_of(route.node()) == OpId::moe_route &&
         product.shape(y)[0] == 1 && !product.has(norm) &&
         product.params<LinearParams>().select != RowSelect::outputs &&
         product.value(y).row_space == RowSpace::rows &&
         route.operand(router::x).value == product.operand(y).value &&
         route.shape(router::gate)[1] <= BX_MOE_MAX_EXPERTS;
}

std::vector<Launch> launches(const LaunchContext& product, const LaunchContext& route) {
  const ProductRoutePlan plan(product, route, product.caps);
  const auto params = route.params<MoeRouteParams>();
  // As for a product alone.
  const Precision precision = plan.d_model % 16 == 0 ? product.precision : Precision::exact;
  const CodesChoice codes = codes_of_launch(product.caps, precision, {product.form(weight)});
  const auto is_there = [&](int operand) { return product.has(operand) ? 1U : 0U; };
  Launch launch;
  launch.shader = codes.dots ? Shader::product_route_dots : Shader::product_route;
  launch.specialization = {{BX_PRODUCT_ROUTE_GROUP_SIZE, codes.group},
                           {BX_PRODUCT_ROUTE_FORM, product.form(weight)},
                           {BX_PRODUCT_ROUTE_HAS_BIAS, is_there(bias)},
                           {BX_PRODUCT_ROUTE_HAS_RESIDUAL, is_there(residual)},
                           {BX_PRODUCT_ROUTE_OUTS, kOutsPerSubgroup},
                           {BX_PRODUCT_ROUTE_CODES, codes.codes},
                           {BX_PRODUCT_ROUTE_HAS_NORM, route.has(router::norm) ? 1U : 0U},
                           {BX_PRODUCT_ROUTE_GATE_FORM, route.form(router::gate)},
                           {BX_PRODUCT_ROUTE_SHARED_FORM, route.form(router::shared_gate)},
                           {BX_PRODUCT_ROUTE_RENORMALIZES, params.renormalize}};
  launch.set_push(ProductRoutePush{.weight = product.address(weight),
                                   .gate = route.address(router::gate),
                                   .shared_gate = route.address(router::shared_gate),
                                   .bias = product.address(bias).data,
                                   .norm = route.address(router::norm).data,
                                   .d_model = to_uint(plan.d_model),
                                   .n_cols = to_uint(product.shape(weight)[2]),
                                   .n_experts = to_uint(plan.n_experts),
                                   .top_k = static_cast<std::uint32_t>(params.top_k),
                                   .eps = params.eps});
  launch.bindings = {product.bind(x, Access::read),
                     product.bind(product.has(residual) ? residual : x, Access::read),
                     product.bind(y, Access::read_write),
                     route.bind(router::normed, Access::write),
                     route.bind(router::experts, Access::write),
                     route.bind(router::gates, Access::write),
                     product.scratch(plan.sums.sums, Access::read_write),
                     product.counters(plan.sums.n_counters())};
  launch.grid[0].count = groups_for(plan.d_model, outs_per_group(product.caps, codes.group));
  return {launch};
}

}  // namespace

const JointKernel product_route_kernel{
    fits,
    [](const NodeView& product, const NodeView& route, const DeviceCaps& caps) {
      return ProductRoutePlan(product, route, caps).scratch.size_bytes();
    },
    launches};

}  // namespace bitaxon::vulkan
