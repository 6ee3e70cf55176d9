//   q = q_proj @ rms(x)
//   keys[p mod capacity] = k_proj @ rms(x);   values[p mod capacity] = v_proj @ rms(x)
//
// For one row, a single launch does everything. For several rows, there are three products, then a
// launch that writes to the ring buffers of the KV cache ("rings").
#include "ops/attn_in.h"

#include <array>
#include <cstdint>

#include "bitaxon/error.h"
#include "shaders/params/attn_append.h"
#include "shaders/params/attn_in_vec.h"
#include "vulkan/kernels/product.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace attn_in_operand;

constexpr std::uint32_t kOutsPerSubgroup = 4;

/// Refuses the forms that no shader computes yet.
const NodeView& checked(const NodeView& node) {
  bool plain = node.shape(q)[1] == node.shape(x)[1] && node.shape(keys)[1] == node.shape(x)[1];
  for (int operand = q_bias; operand <= rotary; ++operand) plain = plain && !node.has(operand);
  if (!plain)
    throw Error(ErrorKind::unsupported,
                "[attn_in] grouped heads, biases, head norms and rotation: expected another device "
                "than vulkan");
  return node;
}

struct AttnInPlan {
  std::int64_t n_rows, d_model;
  bool half;           ///< the rings are float16
  bool is_one_launch;  ///< if true, the members below are not used
  ScratchPlan scratch;
  ScratchPlan::Block new_keys, new_values;
  ProductPlan product;

  AttnInPlan(const NodeView& node, const DeviceCaps&)
      : n_rows(checked(node).shape(x)[0]),
        d_model(node.shape(x)[1]),
        half(node.value(keys).dtype == DType::f16),
        // In a float16 ring with an odd number of columns, adjacent rows share a word, which the
        // single launch cannot write.
        is_one_launch(n_rows == 1 && !(half && d_model % 2 != 0)) {
    if (is_one_launch) return;
    new_keys = scratch.take(n_rows * d_model);
    new_values = scratch.take(n_rows * d_model);
    product = ProductPlan(scratch, n_rows, d_model, node.has(norm));
  }
};

Launch one_launch(const LaunchContext& context, const AttnInPlan& plan) {
  const std::uint32_t d_model = to_uint(plan.d_model);
  const std::uint32_t group = group_size(context.caps);
  Launch launch;
  launch.shader = Shader::attn_in_vec;
  launch.specialization = {{BX_ATTN_IN_VEC_GROUP_SIZE, group},
                           {BX_ATTN_IN_VEC_NORM_FORM, context.form(norm)},
                           {BX_ATTN_IN_VEC_Q_FORM, context.form(q_proj)},
                           {BX_ATTN_IN_VEC_K_FORM, context.form(k_proj)},
                           {BX_ATTN_IN_VEC_V_FORM, context.form(v_proj)},
                           {BX_ATTN_IN_VEC_HALF, plan.half ? 1U : 0U},
                           {BX_ATTN_IN_VEC_OUTS, kOutsPerSubgroup}};
  launch.set_push(AttnInVecPush{.norm = context.address(norm),
                                .q = context.address(q_proj),
                                .k = context.address(k_proj),
                                .v = context.address(v_proj),
                                .d_model = d_model,
                                .capacity = to_uint(context.shape(keys)[0]),
                                .keys_stride = context.strides(keys).slot,
                                .values_stride = context.strides(values).slot,
                                .eps = context.params<AttnInParams>().eps});
  const Binding row = context.bind(x, Access::read);
  launch.bindings = {context.step(),
                     row,
                     row,
                     context.bind(q, Access::write),
                     context.bind(keys, Access::write),
                     context.bind(values, Access::write)};
  launch.grid[0].count =
      divide_up(3 * divide_up(d_model, kOutsPerSubgroup), subgroups_per_group(context.caps, group));
  return launch;
}

Launch append_launch(const LaunchContext& context, const AttnInPlan& plan) {
  const std::uint32_t d_model = to_uint(plan.d_model);
  const std::uint32_t group = group_size(context.caps);
  // In a float16 ring, a row may begin in the middle of a word and end in the middle of another
  // word.
  const std::uint32_t words = plan.half ? d_model / 2 + 1 : d_model;
  Launch launch;
  launch.shader = Shader::attn_append;
  launch.specialization = {{BX_ATTN_APPEND_GROUP_SIZE, group},
                           {BX_ATTN_APPEND_HALF, plan.half ? 1U : 0U}};
  launch.set_push(AttnAppendPush{.d_model = d_model,
                                 .capacity = to_uint(context.shape(keys)[0]),
                                 .keys_stride = context.strides(keys).slot,
                                 .values_stride = context.strides(values).slot});
  // If two rows share a word, the launch also reads the word, in order to keep the half of the
  // other row.
  const Access ring_access = plan.half && d_model % 2 != 0 ? Access::read_write : Access::write;
  launch.bindings = {context.step(), context.scratch(plan.new_keys, Access::read),
                     context.scratch(plan.new_values, Access::read),
                     context.bind(keys, ring_access), context.bind(values, ring_access)};
  launch.grid[0].count = groups_for(words, group);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const AttnInPlan& plan) {
  if (plan.is_one_launch) return {one_launch(context, plan)};
  const struct {
    int weight;
    Binding y;
  } products[] = {{q_proj, context.bind(q, Access::write)},
                  {k_proj, context.scratch(plan.new_keys, Access::write)},
                  {v_proj, context.scratch(plan.new_values, Access::write)}};
  std::vector<Launch> all;
  for (const auto& product : products) {
    const ProductArgs args{
        .x = context.bind(x, Access::read),
        .y = product.y,
        .weight = {context.form(product.weight), context.address(product.weight)},
        .norm = {context.form(norm), context.address(norm)},
        .eps = context.params<AttnInParams>().eps,
        .n_out = context.shape(q)[1],
        .n_cols = plan.d_model,
        .n_rows = plan.n_rows};
    for (Launch& launch : product_launches(context, args, plan.product))
      all.push_back(std::move(launch));
  }
  all.push_back(append_launch(context, plan));
  return all;
}

}  // namespace

const VulkanKernel attn_in_kernel = kernel_with_plan<AttnInPlan, launches>();

}  // namespace bitaxon::vulkan
