//   y[r, :] = table[id[r], :];   seen_out = seen_in | {id[r]}
#include "ops/embed.h"

#include <algorithm>

#include "shaders/params/embed.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace embed_operand;
  const std::uint32_t group = group_size(context.caps);
  const std::uint32_t d_embedding = to_uint(context.shape(y)[1]);
  const std::uint32_t n_words = to_uint(context.shape(seen)[0]);
  const auto seen_strides = context.strides(seen);
  const auto token_strides = context.strides(next_token);
  Launch launch;
  launch.shader = Shader::embed;
  launch.specialization = {{BX_EMBED_GROUP_SIZE, group}, {BX_EMBED_FORM, context.form(table)}};
  launch.set_push(EmbedPush{.table = context.address(table),
                            .vocab_size = to_uint(context.shape(table)[1]),
                            .d_embedding = d_embedding,
                            .n_words = n_words,
                            .seen_slot = seen_strides.slot,
                            .seen_version = seen_strides.version,
                            .token_slot = token_strides.slot,
                            .token_version = token_strides.version});
  launch.bindings = {context.step(), context.bind(seen, Access::read_write),
                     context.bind(next_token, Access::read), context.bind(y, Access::write)};
  launch.grid[0].count =
      std::min(groups_for(std::max(d_embedding, n_words), group), context.caps.max_group_count[0]);
  launch.grid[1] = {.per = RowSpace::rows};
  launch.grid[2].count = 2;
  return {launch};
}

}  // namespace

const VulkanKernel embed_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
