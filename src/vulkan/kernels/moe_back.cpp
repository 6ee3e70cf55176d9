#include "vulkan/kernels/moe_back.h"

namespace bitaxon::vulkan {

Launch moe_back_launch(const LaunchContext& context, const Binding& g, bool shares_g, int experts,
                       int weight, const Binding& y, bool adds) {
  const std::uint32_t group = group_size(context.caps);
  const Shape& shape = context.shape(weight);
  const std::int64_t top_k = context.shape(experts)[1];
  Launch launch;
  launch.shader = Shader::moe_back;
  launch.specialization = {{BX_MOE_BACK_GROUP_SIZE, group},
                           {BX_MOE_BACK_FORM, context.form(weight)},
                           {BX_MOE_BACK_ADDS, adds ? 1U : 0U}};
  launch.set_push(MoeBackPush{.weight = context.address(weight),
                              .n_out = to_uint(shape[1]),
                              .n_cols = to_uint(shape[2]),
                              .n_experts = to_uint(shape[0]),
                              .top_k = to_uint(top_k),
                              .g_per_row = shares_g ? 1U : to_uint(top_k)});
  launch.bindings = {g, context.bind(experts, Access::read), y};
  launch.grid[0].count = groups_for(shape[2], group);
  launch.grid[1].count = to_uint(top_k);
  launch.grid[2] = {.per = RowSpace::rows};
  return launch;
}

}  // namespace bitaxon::vulkan
