//   o = base + scale * (x A) B;  y = (m / n) * o + bias + residual for DoRA, o + ... for LoRA
#include "ops/adapter.h"

#include "vulkan/kernels/adapter_layer.h"
#include "vulkan/kernels/elements.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace adapter_operand;

struct AdapterPlan {
  AdapterSizes sizes;
  ScratchPlan scratch;
  ScratchPlan::Block u;  ///< [R, rank]

  AdapterPlan(const NodeView& node, const DeviceCaps&)
      : sizes{node.shape(x)[0], node.shape(x)[1], node.shape(y)[1],
              node.params<AdapterPlace>().rank},
        u(scratch.take(sizes.n_rows * sizes.rank)) {}
};

std::vector<Launch> launches(const LaunchContext& context, const AdapterPlan& plan) {
  const auto place = context.params<AdapterPlace>();
  const AdapterBindings layer(context, plan.sizes, parameters, norms);
  Launch launch;
  launch.shader = Shader::adapter;
  launch.specialization = {{BX_ADAPTER_GROUP_SIZE, group_size(context.caps)},
                           {BX_ADAPTER_IS_DORA, place.is_dora},
                           {BX_ADAPTER_HAS_BIAS, context.has(bias) ? 1U : 0U},
                           {BX_ADAPTER_HAS_RESIDUAL, context.has(residual) ? 1U : 0U}};
  launch.set_push(AdapterPush{.bias = context.address(bias),
                              .n_out = to_uint(plan.sizes.n_out),
                              .rank = to_uint(plan.sizes.rank),
                              .scale = place.scale,
                              .b = layer.b.offset,
                              .m = layer.m.offset,
                              .norm = layer.norms.offset});
  launch.bindings = {context.bind(base, Access::read),
                     context.scratch(plan.u, Access::read),
                     layer.b.binding,
                     layer.m.binding,
                     layer.norms.binding,
                     context.bind(context.has(residual) ? residual : base, Access::read),
                     context.bind(y, Access::write)};
  set_elements(launch, context, y, plan.sizes.n_out);
  return {
      adapter_inner_launch(context, plan.sizes, layer, x, context.scratch(plan.u, Access::write)),
      launch};
}

}  // namespace

const VulkanKernel adapter_kernel = kernel_with_plan<AdapterPlan, launches>();

}  // namespace bitaxon::vulkan
