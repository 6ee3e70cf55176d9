#include "vulkan/kernels/ssm_launches.h"

#include "shaders/params/ssm_in.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {

Launch ssm_conv_launch(const LaunchContext& context, const SsmConvArgs& args) {
  const std::uint32_t group = group_size(context.caps);
  const auto strides = context.strides(args.tail);
  Launch launch;
  launch.shader = Shader::ssm_conv;
  launch.specialization = {{BX_SSM_CONV_GROUP_SIZE, group},
                           {BX_SSM_CONV_FORM, context.form(args.conv_weight)},
                           {BX_SSM_CONV_HAS_BIAS, context.has(args.conv_bias) ? 1U : 0U}};
  launch.set_push(SsmConvPush{.conv_weight = context.address(args.conv_weight),
                              .conv_bias = context.address(args.conv_bias),
                              .d_inner = to_uint(args.d_inner),
                              .v_width = to_uint(args.v_width),
                              .d_conv = to_uint(args.d_conv),
                              .slot_stride = strides.slot,
                              .version_stride = strides.version});
  launch.bindings = {context.step(), args.v, args.read_tail, args.u};
  launch.grid[0].count = groups_for(args.d_inner, group);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

Launch ssm_tail_launch(const LaunchContext& context, const SsmConvArgs& args) {
  const std::uint32_t group = group_size(context.caps);
  const auto strides = context.strides(args.tail);
  Launch launch;
  launch.shader = Shader::ssm_tail;
  launch.specialization = {{BX_SSM_TAIL_GROUP_SIZE, group}};
  launch.set_push(SsmTailPush{.d_inner = to_uint(args.d_inner),
                              .v_width = to_uint(args.v_width),
                              .d_conv = to_uint(args.d_conv),
                              .slot_stride = strides.slot,
                              .version_stride = strides.version});
  launch.bindings = {context.step(), args.v, context.bind(args.tail, Access::read_write)};
  launch.grid[0].count = groups_for(args.d_inner, group);
  launch.grid[1] = {.per = RowSpace::segments};
  return launch;
}

}  // namespace bitaxon::vulkan
