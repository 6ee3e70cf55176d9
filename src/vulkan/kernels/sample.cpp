// The first dispatch scales the logits and finds the best logit in each part of the vocabulary. If
// the sampler draws, the second dispatch computes weights, and the last workgroup of a segment filters
// and draws.
#include "ops/sample.h"

#include <algorithm>
#include <bit>

#include "shaders/params/sample.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace sample_operand;

constexpr std::uint32_t kPartGroup = 256;

/// The number of threads of a workgroup of sample_draw. One workgroup filters the whole vocabulary,
/// so this number grows with the vocabulary.
std::uint32_t draw_group(std::int64_t vocab_size, const DeviceCaps& caps) {
  const auto lanes = std::bit_ceil(static_cast<std::uint64_t>(vocab_size) / 16 + 1);
  constexpr std::uint64_t kMost = 4 * BX_SAMPLE_MAX_SUBGROUPS;
  return group_size(caps, static_cast<std::uint32_t>(std::clamp<std::uint64_t>(lanes, 128, kMost)));
}

struct SamplePlan {
  SamplerStructure structure;
  std::int64_t vocab_size;
  std::uint32_t part_group;  ///< threads per workgroup of sample_scale
  std::uint32_t n_parts;     ///< parts of the vocabulary; a workgroup of this shader takes one
  ScratchPlan scratch;
  ScratchPlan::Block best;     ///< [G, parts, 2] for G segments
  ScratchPlan::Block keys;     ///< [G, V]
  ScratchPlan::Block weights;  ///< [G, V]

  SamplePlan(const NodeView& node, const DeviceCaps& caps)
      : structure(node.params<SampleParams>().structure),
        vocab_size(node.shape(logits)[1]),
        part_group(group_size(caps, kPartGroup)),
        n_parts(groups_for(vocab_size, std::int64_t{part_group} * BX_SAMPLE_PER_LANE)) {
    const std::int64_t n_segments = node.shape(tokens)[0];
    best = scratch.take(n_segments * n_parts * 2);
    // Without a draw, no shader uses keys and weights, but their bindings still need memory.
    keys = scratch.take(structure.draw ? n_segments * vocab_size : 1);
    weights = scratch.take(structure.draw ? n_segments * vocab_size : 1);
  }
};

std::vector<Launch> launches(const LaunchContext& context, const SamplePlan& plan) {
  const auto seen_strides = context.strides(seen);
  const auto next_strides = context.strides(next_token);
  const SamplePush push{.vocab_size = to_uint(plan.vocab_size),
                        .n_parts = plan.n_parts,
                        .seen_slot = seen_strides.slot,
                        .seen_version = seen_strides.version,
                        .next_token_slot = next_strides.slot,
                        .next_token_version = next_strides.version};
  const std::uint32_t drawn = plan.structure.draw ? 1 : 0;

  Launch scale;
  scale.shader = Shader::sample_scale;
  scale.specialization = {{BX_SAMPLE_GROUP_SIZE, plan.part_group},
                          {BX_SAMPLE_DRAW, drawn},
                          {BX_SAMPLE_PENALTY, plan.structure.penalty ? 1U : 0U}};
  scale.set_push(push);
  scale.bindings = {context.step(), context.bind(logits, Access::read),
                    context.bind(seen, Access::read), context.scratch(plan.best, Access::write),
                    context.scratch(plan.keys, Access::write)};
  scale.grid[0].count = plan.n_parts;
  scale.grid[1].per = RowSpace::segments;

  Launch draw;
  draw.shader = Shader::sample_draw;
  const std::uint32_t group = draw_group(plan.vocab_size, context.caps);
  draw.specialization = {{BX_SAMPLE_GROUP_SIZE, group}, {BX_SAMPLE_DRAW, drawn}};
  draw.set_push(push);
  draw.bindings = {context.step(),
                   context.scratch(plan.best, Access::read),
                   context.scratch(plan.keys, Access::read),
                   context.scratch(plan.weights, Access::read_write),
                   context.bind(next_token, Access::write),
                   context.bind(tokens, Access::write),
                   context.counters(context.shape(tokens)[0])};
  if (plan.structure.draw)
    draw.grid[0].count = groups_for(plan.vocab_size, std::int64_t{group} * BX_SAMPLE_PER_LANE);
  draw.grid[1].per = RowSpace::segments;
  return {scale, draw};
}

}  // namespace

const VulkanKernel sample_kernel = kernel_with_plan<SamplePlan, launches>();

}  // namespace bitaxon::vulkan
