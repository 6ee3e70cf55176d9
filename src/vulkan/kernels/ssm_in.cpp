//   v, z = split(in_proj @ rms(x))
//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
#include "ops/ssm_in.h"

#include "shaders/params/ssm_in.h"
#include "vulkan/kernels/product.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace ssm_in_operand;

constexpr std::uint32_t kRowsPerSubgroup = 4;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

struct Sizes {
  std::int64_t n_rows, d_model, d_inner, d_conv;
  bool has_norm;

  Sizes(const Graph& graph, const Node& node) : has_norm(node.operands[norm].value >= 0) {
    const Shape& rows = graph.value(node.operands[x].value).shape;
    const Shape& conv = graph.value(node.operands[conv_weight].value).shape;
    n_rows = rows[0];
    d_model = rows[1];
    d_inner = conv[1];
    d_conv = conv[2];
  }
};

struct Scratch {
  ScratchPlan::Block v;        ///< [R, E], for several rows
  ScratchPlan::Block product;  ///< scratch of the products, for several rows
  ScratchPlan::Block no_tail;  ///< bound instead of a tail when the tail has no rows
  std::size_t size_bytes;

  Scratch(const Sizes& sizes, const DeviceCaps& caps) {
    ScratchPlan plan;
    if (sizes.n_rows > 1) {
      v = plan.take(sizes.n_rows * sizes.d_inner);
      product = plan.take(product_scratch_words(caps, sizes.n_rows, sizes.d_model, sizes.has_norm));
    }
    if (sizes.d_conv == 1) no_tail = plan.take(1);
    size_bytes = plan.size_bytes();
  }
};

Binding bind_tail(const LaunchContext& context, const Sizes& sizes, const Scratch& scratch,
                  Access access) {
  if (sizes.d_conv > 1) return context.bind(tail, access);
  return context.scratch(scratch.no_tail.offset_bytes, scratch.no_tail.size_bytes, access);
}

Launch vec_launch(const LaunchContext& context, const Sizes& sizes, const Scratch& scratch) {
  const std::uint32_t group = group_size(context.caps);
  // A subgroup is at most max_subgroup_size, so the workgroup has at least this many subgroups.
  const std::int64_t rows_per_group =
      std::int64_t{group / context.caps.max_subgroup_size} * kRowsPerSubgroup;
  const auto strides = context.strides(tail);
  Launch launch;
  launch.shader = Shader::ssm_in_vec;
  launch.specialization = {{BX_SSM_IN_VEC_GROUP_SIZE, group},
                           {BX_SSM_IN_VEC_FORM, context.form(in_proj)},
                           {BX_SSM_IN_VEC_NORM_FORM, context.form(norm)},
                           {BX_SSM_IN_VEC_CONV_FORM, context.form(conv_weight)},
                           {BX_SSM_IN_VEC_ROWS, kRowsPerSubgroup}};
  launch.set_push(SsmInVecParams{.in_proj = context.ref(in_proj),
                                 .norm = context.ref(norm),
                                 .conv_weight = context.ref(conv_weight),
                                 .conv_bias = context.ref(conv_bias),
                                 .n_channels = to_uint(sizes.d_inner),
                                 .n_cols = to_uint(sizes.d_model),
                                 .n_taps = to_uint(sizes.d_conv),
                                 .slot_stride = strides.slot,
                                 .version_stride = strides.version,
                                 .eps = context.params<SsmInParams>().eps});
  launch.bindings = {context.step(), context.bind(x, Access::read),
                     bind_tail(context, sizes, scratch, Access::read_write),
                     context.bind(u, Access::write), context.bind(z, Access::write)};
  launch.grid[0].count = to_uint(divide_up(2 * sizes.d_inner, rows_per_group));
  return launch;
}

Launch conv_launch(const LaunchContext& context, const Sizes& sizes, const Scratch& scratch) {
  const std::uint32_t group = group_size(context.caps);
  const auto strides = context.strides(tail);
  Launch launch;
  launch.shader = Shader::ssm_conv;
  launch.specialization = {{BX_SSM_CONV_GROUP_SIZE, group},
                           {BX_SSM_CONV_FORM, context.form(conv_weight)}};
  launch.set_push(SsmConvParams{.conv_weight = context.ref(conv_weight),
                                .conv_bias = context.ref(conv_bias),
                                .n_channels = to_uint(sizes.d_inner),
                                .n_taps = to_uint(sizes.d_conv),
                                .slot_stride = strides.slot,
                                .version_stride = strides.version});
  launch.bindings = {
      context.step(), context.scratch(scratch.v.offset_bytes, scratch.v.size_bytes, Access::read),
      bind_tail(context, sizes, scratch, Access::read), context.bind(u, Access::write)};
  launch.grid[0].count = to_uint(divide_up(sizes.d_inner, group));
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

Launch tail_launch(const LaunchContext& context, const Sizes& sizes, const Scratch& scratch) {
  const std::uint32_t group = group_size(context.caps);
  const auto strides = context.strides(tail);
  Launch launch;
  launch.shader = Shader::ssm_tail;
  launch.specialization = {{BX_SSM_TAIL_GROUP_SIZE, group}};
  launch.set_push(SsmTailParams{.n_channels = to_uint(sizes.d_inner),
                                .n_taps = to_uint(sizes.d_conv),
                                .slot_stride = strides.slot,
                                .version_stride = strides.version});
  launch.bindings = {context.step(),
                     context.scratch(scratch.v.offset_bytes, scratch.v.size_bytes, Access::read),
                     context.bind(tail, Access::read_write)};
  launch.grid[0].count = to_uint(divide_up(sizes.d_inner, group));
  launch.grid[1] = {.per = RowSpace::segments};
  return launch;
}

std::vector<Launch> launch(const LaunchContext& context) {
  const Sizes sizes(context.graph, context.node);
  const Scratch scratch(sizes, context.caps);
  if (sizes.n_rows == 1) return {vec_launch(context, sizes, scratch)};

  ProductArgs args{
      .x = context.bind(x, Access::read),
      .y = context.scratch(scratch.v.offset_bytes, scratch.v.size_bytes, Access::write),
      .weight = {context.form(in_proj), context.ref(in_proj)},
      .norm = {context.form(norm), context.ref(norm)},
      .eps = context.params<SsmInParams>().eps,
      .n_out = sizes.d_inner,
      .n_cols = sizes.d_model,
      .n_rows = sizes.n_rows};
  std::vector<Launch> launches = product_launches(context, args, scratch.product);
  args.y = context.bind(z, Access::write);
  args.weight_row = sizes.d_inner;
  for (Launch& gate : product_launches(context, args, scratch.product))
    launches.push_back(std::move(gate));
  launches.push_back(conv_launch(context, sizes, scratch));
  if (sizes.d_conv > 1) launches.push_back(tail_launch(context, sizes, scratch));
  return launches;
}

std::size_t workspace(const Graph& graph, const Node& node, const DeviceCaps& caps) {
  return Scratch(Sizes(graph, node), caps).size_bytes;
}

}  // namespace

const VulkanKernel ssm_in_kernel{workspace, launch};

}  // namespace bitaxon::vulkan
