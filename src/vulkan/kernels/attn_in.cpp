//   q = q_proj @ rms(x);   keys[p mod capacity] = k_proj @ rms(x);   values likewise
//
// One row: a single launch does everything. Several rows: three products, then a launch that fills
// the ring buffers of the KV cache ("rings").
#include "ops/attn_in.h"

#include <array>
#include <cstdint>

#include "shaders/params/attn_append.h"
#include "shaders/params/attn_in_vec.h"
#include "vulkan/kernels/product.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace attn_in_operand;

constexpr std::uint32_t kRowsPerSubgroup = 4;

const Value& value_of(const Graph& graph, const Node& node, int index) {
  return graph.value(node.operands[static_cast<std::size_t>(index)].value);
}

std::uint32_t divide_up(std::uint32_t a, std::uint32_t b) { return (a + b - 1) / b; }

bool is_one_launch(const Graph& graph, const Node& node) {
  // In float16 rings of odd width, adjacent rows share a word.
  const bool overlaps =
      value_of(graph, node, keys).dtype == DType::f16 && value_of(graph, node, x).shape[1] % 2 != 0;
  return value_of(graph, node, x).shape[0] == 1 && !overlaps;
}

struct Scratch {
  ScratchPlan::Block new_keys, new_values, product;
  std::size_t size_bytes = 0;

  Scratch(const Graph& graph, const Node& node, const DeviceCaps& caps) {
    const Shape& shape = value_of(graph, node, x).shape;
    const bool has_norm = node.operands[norm].value >= 0;
    ScratchPlan plan;
    new_keys = plan.take(shape.elements());
    new_values = plan.take(shape.elements());
    product = plan.take(product_scratch_words(caps, shape[0], shape[1], has_norm));
    size_bytes = plan.size_bytes();
  }
};

Launch one_launch(const LaunchContext& context) {
  const std::uint32_t n_cols = to_uint(context.shape(x)[1]);
  const std::uint32_t group = group_size(context.caps);
  // A subgroup is at most max_subgroup_size, so the workgroup has at least this many subgroups.
  const std::uint32_t subgroups = group / context.caps.max_subgroup_size;
  Launch launch;
  launch.shader = Shader::attn_in_vec;
  launch.specialization = {{BX_ATTN_IN_VEC_GROUP_SIZE, group},
                           {BX_ATTN_IN_VEC_NORM_FORM, context.form(norm)},
                           {BX_ATTN_IN_VEC_Q_FORM, context.form(q_proj)},
                           {BX_ATTN_IN_VEC_K_FORM, context.form(k_proj)},
                           {BX_ATTN_IN_VEC_V_FORM, context.form(v_proj)},
                           {BX_ATTN_IN_VEC_HALF, context.value(keys).dtype == DType::f16 ? 1U : 0U},
                           {BX_ATTN_IN_VEC_ROWS, kRowsPerSubgroup}};
  launch.set_push(AttnInVecParams{.norm = context.ref(norm),
                                  .q = context.ref(q_proj),
                                  .k = context.ref(k_proj),
                                  .v = context.ref(v_proj),
                                  .n_cols = n_cols,
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
  launch.grid[0].count = divide_up(3 * divide_up(n_cols, kRowsPerSubgroup), subgroups);
  return launch;
}

Launch append_launch(const LaunchContext& context, const Scratch& scratch) {
  const std::uint32_t n_cols = to_uint(context.shape(x)[1]);
  const bool half = context.value(keys).dtype == DType::f16;
  const std::uint32_t group = group_size(context.caps);
  // float16: a row that begins in the middle of a word may end in the middle of another.
  const std::uint32_t words = half ? n_cols / 2 + 1 : n_cols;
  const auto rows = [&](const ScratchPlan::Block& block) {
    return context.scratch(block.offset_bytes, block.size_bytes, Access::read);
  };
  Launch launch;
  launch.shader = Shader::attn_append;
  launch.specialization = {{BX_ATTN_APPEND_GROUP_SIZE, group},
                           {BX_ATTN_APPEND_HALF, half ? 1U : 0U}};
  launch.set_push(AttnAppendParams{.n_cols = n_cols,
                                   .capacity = to_uint(context.shape(keys)[0]),
                                   .keys_stride = context.strides(keys).slot,
                                   .values_stride = context.strides(values).slot});
  // A word that two rows share is read and written back with the half of the other row.
  const Access ring_access = half && n_cols % 2 != 0 ? Access::read_write : Access::write;
  launch.bindings = {context.step(), rows(scratch.new_keys), rows(scratch.new_values),
                     context.bind(keys, ring_access), context.bind(values, ring_access)};
  launch.grid[0].count = divide_up(words, group);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

std::vector<Launch> several_launches(const LaunchContext& context) {
  const Scratch scratch(context.graph, context.node, context.caps);
  const auto written = [&](const ScratchPlan::Block& block) {
    return context.scratch(block.offset_bytes, block.size_bytes, Access::write);
  };
  const struct {
    int weight;
    Binding y;
  } products[] = {{q_proj, context.bind(q, Access::write)},
                  {k_proj, written(scratch.new_keys)},
                  {v_proj, written(scratch.new_values)}};
  std::vector<Launch> launches;
  for (const auto& product : products) {
    const ProductArgs args{.x = context.bind(x, Access::read),
                           .y = product.y,
                           .weight = {context.form(product.weight), context.ref(product.weight)},
                           .norm = {context.form(norm), context.ref(norm)},
                           .eps = context.params<AttnInParams>().eps,
                           .n_out = context.shape(q)[1],
                           .n_cols = context.shape(x)[1],
                           .n_rows = context.shape(x)[0]};
    for (Launch& launch : product_launches(context, args, scratch.product))
      launches.push_back(std::move(launch));
  }
  launches.push_back(append_launch(context, scratch));
  return launches;
}

std::size_t workspace(const Graph& graph, const Node& node, const DeviceCaps& caps) {
  return is_one_launch(graph, node) ? 0 : Scratch(graph, node, caps).size_bytes;
}

std::vector<Launch> launch(const LaunchContext& context) {
  if (is_one_launch(context.graph, context.node)) return {one_launch(context)};
  return several_launches(context);
}

}  // namespace

const VulkanKernel attn_in_kernel{workspace, launch};

}  // namespace bitaxon::vulkan
