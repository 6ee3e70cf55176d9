//   u = x A;  g_o = (m / n) * g_y;  t = scale * g_o B^T
//   g_m += colsum(g_y * o) / n;  g_B += scale * u^T g_o;  g_A += x^T t;  g_x = t A^T
#include "ops/adapter_backward.h"

#include "vulkan/kernels/adapter_layer.h"
#include "vulkan/kernels/elements.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace adapter_backward_operand;

struct AdapterBackwardPlan {
  AdapterSizes sizes;
  ScratchPlan scratch;
  ScratchPlan::Block u;  ///< [R, rank]
  ScratchPlan::Block t;  ///< [R, rank]

  AdapterBackwardPlan(const NodeView& node, const DeviceCaps&)
      : sizes{node.shape(x)[0], node.shape(x)[1], node.shape(g_y)[1],
              node.params<AdapterPlace>().rank},
        u(scratch.take(sizes.n_rows * sizes.rank)),
        t(scratch.take(sizes.n_rows * sizes.rank)) {}
};

/// t and the gradient of base
Launch outer_launch(const LaunchContext& context, const AdapterBackwardPlan& plan,
                    const AdapterBindings& layer) {
  const auto place = context.params<AdapterPlace>();
  const Binding t = context.scratch(plan.t, Access::write);
  Launch launch;
  launch.shader = Shader::adapter_backward_outer;
  launch.specialization = {{BX_ADAPTER_BACKWARD_OUTER_GROUP_SIZE, group_size(context.caps)},
                           {BX_ADAPTER_BACKWARD_OUTER_IS_DORA, place.is_dora}};
  launch.set_push(AdapterOuterPush{.n_out = to_uint(plan.sizes.n_out),
                                   .rank = to_uint(plan.sizes.rank),
                                   .scale = place.scale,
                                   .b = layer.b.offset,
                                   .m = layer.m.offset,
                                   .norm = layer.norms.offset});
  launch.bindings = {context.bind(g_y, Access::read),
                     layer.b.binding,
                     layer.m.binding,
                     layer.norms.binding,
                     t,
                     place.is_dora != 0 ? context.bind(g_base, Access::write) : t};
  launch.grid[0] = {.per = context.value(x).row_space};
  launch.grid[1].count = rank_parts(plan.sizes.rank);
  return launch;
}

/// The push constants of the launches that compute with A. `a` is the place of A, or of its gradient.
AdapterInnerPush inner_push(const AdapterBackwardPlan& plan, std::uint32_t a) {
  return {.n_in = to_uint(plan.sizes.n_in), .rank = to_uint(plan.sizes.rank), .a = a};
}

/// The gradient of x
Launch x_launch(const LaunchContext& context, const AdapterBackwardPlan& plan,
                const AdapterBindings& layer) {
  Launch launch;
  launch.shader = Shader::adapter_backward_x;
  launch.specialization = {{BX_ADAPTER_BACKWARD_X_GROUP_SIZE, group_size(context.caps)}};
  launch.set_push(inner_push(plan, layer.a.offset));
  launch.bindings = {context.scratch(plan.t, Access::read), layer.a.binding,
                     context.bind(g_x, Access::write)};
  set_elements(launch, context, g_x, plan.sizes.n_in);
  return launch;
}

std::uint32_t of_outputs(const LaunchContext& context) {
  return context.value(x).row_space == RowSpace::outputs ? 1 : 0;
}

/// Adds the gradient of A.
Launch a_launch(const LaunchContext& context, const AdapterBackwardPlan& plan) {
  const auto place = context.params<AdapterPlace>();
  const auto g_a =
      context.bind_part(gradients, Access::read_write, place.a, plan.sizes.n_in * plan.sizes.rank);
  Launch launch;
  launch.shader = Shader::adapter_backward_a;
  launch.specialization = {{BX_ADAPTER_BACKWARD_A_GROUP_SIZE, group_size(context.caps)},
                           {BX_ADAPTER_BACKWARD_A_OF_OUTPUTS, of_outputs(context)}};
  launch.set_push(inner_push(plan, g_a.offset));
  launch.bindings = {context.step(), context.bind(x, Access::read),
                     context.scratch(plan.t, Access::read), g_a.binding};
  launch.grid[0].count = groups_for(plan.sizes.n_in, group_size(context.caps));
  launch.grid[1].count = rank_parts(plan.sizes.rank);
  return launch;
}

/// Adds the gradients of B and m.
Launch b_launch(const LaunchContext& context, const AdapterBackwardPlan& plan,
                const AdapterBindings& layer) {
  const auto place = context.params<AdapterPlace>();
  const std::int64_t n_out = plan.sizes.n_out;
  const bool is_dora = place.is_dora != 0;
  const auto g_b =
      context.bind_part(gradients, Access::read_write, place.b, plan.sizes.rank * n_out);
  const auto g_m = is_dora ? context.bind_part(gradients, Access::read_write, place.m, n_out) : g_b;
  Launch launch;
  launch.shader = Shader::adapter_backward_b;
  launch.specialization = {{BX_ADAPTER_BACKWARD_B_GROUP_SIZE, group_size(context.caps)},
                           {BX_ADAPTER_BACKWARD_B_IS_DORA, place.is_dora},
                           {BX_ADAPTER_BACKWARD_B_OF_OUTPUTS, of_outputs(context)}};
  launch.set_push(AdapterSumPush{.n_out = to_uint(n_out),
                                 .rank = to_uint(plan.sizes.rank),
                                 .scale = place.scale,
                                 .b = layer.b.offset,
                                 .m = layer.m.offset,
                                 .norm = layer.norms.offset,
                                 .g_b = g_b.offset,
                                 .g_m = g_m.offset});
  launch.bindings = {context.step(),
                     context.bind(g_y, Access::read),
                     context.bind(is_dora ? base : g_y, Access::read),
                     context.scratch(plan.u, Access::read),
                     layer.b.binding,
                     layer.m.binding,
                     layer.norms.binding,
                     g_b.binding,
                     g_m.binding};
  launch.grid[0].count = groups_for(n_out, group_size(context.caps));
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const AdapterBackwardPlan& plan) {
  const AdapterBindings layer(context, plan.sizes, parameters, norms);
  return {
      adapter_inner_launch(context, plan.sizes, layer, x, context.scratch(plan.u, Access::write)),
      outer_launch(context, plan, layer), x_launch(context, plan, layer), a_launch(context, plan),
      b_launch(context, plan, layer)};
}

}  // namespace

const VulkanKernel adapter_backward_kernel = kernel_with_plan<AdapterBackwardPlan, launches>();

}  // namespace bitaxon::vulkan
