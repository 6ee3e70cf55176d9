// The first dispatch scales the logits and finds the best one in each part of the vocabulary. If
// the sampler draws, a second dispatch computes weights. The last dispatch, one workgroup per
// segment, filters and draws.
#include "ops/sample.h"

#include <algorithm>
#include <bit>

#include "shaders/params/sample.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint32_t kPartGroup = 256;

/// One workgroup filters the whole vocabulary, so its size grows with the vocabulary.
std::uint32_t draw_group(std::int64_t vocab_size, const DeviceCaps& caps) {
  const auto lanes = std::bit_ceil(static_cast<std::uint64_t>(vocab_size) / 16 + 1);
  constexpr std::uint64_t kMost = 4 * BX_SAMPLE_MAX_SUBGROUPS;
  return group_size(caps, static_cast<std::uint32_t>(std::clamp<std::uint64_t>(lanes, 128, kMost)));
}

/// Parts of the vocabulary: one per workgroup of sample_scale and sample_weight.
std::uint32_t parts_of(std::int64_t vocab_size, const DeviceCaps& caps) {
  const std::int64_t per_group = group_size(caps, kPartGroup) * BX_SAMPLE_PER_LANE;
  return to_uint((vocab_size + per_group - 1) / per_group);
}

struct Blocks {
  ScratchPlan plan;
  ScratchPlan::Block best;     ///< [G, parts, 2]
  ScratchPlan::Block keys;     ///< [G, V]
  ScratchPlan::Block weights;  ///< [G, V]

  Blocks(std::int64_t n_segments, std::int64_t vocab_size, const SamplerStructure& structure,
         const DeviceCaps& caps) {
    best = plan.take(n_segments * parts_of(vocab_size, caps) * 2);
    // Without a draw, keys and weights are not used, but a shader needs a binding for them.
    keys = plan.take(structure.draw ? n_segments * vocab_size : 1);
    weights = plan.take(structure.draw ? n_segments * vocab_size : 1);
  }
};

std::size_t workspace(const Graph& graph, const Node& node, const DeviceCaps& caps) {
  const auto shape = [&](int index) -> const Shape& {
    return graph.value(node.operands[static_cast<std::size_t>(index)].value).shape;
  };
  return Blocks(shape(sample_operand::tokens)[0], shape(sample_operand::logits)[1],
                node.params_as<SampleParams>().structure, caps)
      .plan.size_bytes();
}

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace sample_operand;
  const SamplerStructure structure = context.params<SampleParams>().structure;
  const std::int64_t vocab_size = context.shape(logits)[1];
  const Blocks blocks(context.shape(tokens)[0], vocab_size, structure, context.caps);
  const auto bind = [&](const ScratchPlan::Block& block, Access access) {
    return context.scratch(block.offset_bytes, block.size_bytes, access);
  };
  const std::uint32_t n_parts = parts_of(vocab_size, context.caps);
  const std::uint32_t part_group = group_size(context.caps, kPartGroup);
  const auto seen_strides = context.strides(seen);
  const auto next_strides = context.strides(next_token);
  const SampleSizes sizes{.n_vocab = to_uint(vocab_size),
                          .n_groups = n_parts,
                          .seen_slot = seen_strides.slot,
                          .seen_version = seen_strides.version,
                          .next_token_slot = next_strides.slot,
                          .next_token_version = next_strides.version};
  const std::uint32_t drawn = structure.draw ? 1 : 0;

  Launch scale;
  scale.shader = Shader::sample_scale;
  scale.specialization = {{BX_SAMPLE_GROUP_SIZE, part_group},
                          {BX_SAMPLE_DRAW, drawn},
                          {BX_SAMPLE_PENALTY, structure.penalty ? 1U : 0U}};
  scale.set_push(sizes);
  scale.bindings = {context.step(), context.bind(logits, Access::read),
                    context.bind(seen, Access::read), bind(blocks.best, Access::write),
                    bind(blocks.keys, Access::write)};
  scale.grid[0].count = n_parts;
  scale.grid[1].per = RowSpace::segments;

  Launch weight;
  weight.shader = Shader::sample_weight;
  weight.specialization = {{BX_SAMPLE_GROUP_SIZE, part_group}};
  weight.set_push(sizes);
  weight.bindings = {context.step(), bind(blocks.best, Access::read),
                     bind(blocks.keys, Access::read), bind(blocks.weights, Access::write)};
  weight.grid = scale.grid;

  Launch draw;
  draw.shader = Shader::sample_draw;
  draw.specialization = {{BX_SAMPLE_GROUP_SIZE, draw_group(vocab_size, context.caps)},
                         {BX_SAMPLE_DRAW, drawn}};
  draw.set_push(sizes);
  draw.bindings = {context.step(),
                   bind(blocks.best, Access::read),
                   bind(blocks.keys, Access::read),
                   bind(blocks.weights, Access::read),
                   context.bind(next_token, Access::write),
                   context.bind(tokens, Access::write)};
  draw.grid[0].per = RowSpace::segments;

  if (!structure.draw) return {scale, draw};
  return {scale, weight, draw};
}

}  // namespace

const VulkanKernel sample_kernel{workspace, launch};

}  // namespace bitaxon::vulkan
