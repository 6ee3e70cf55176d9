//   m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2,  g = clip * gradient
//   p = p * (1 - decay) - rate * (m / c1) / (sqrt(v / c2) + eps)
#include "ops/adamw.h"

#include <algorithm>

#include "shaders/params/adamw.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

/// One launch for each part of the vectors that a binding can hold.
std::vector<Launch> launch(const LaunchContext& context) {
  using namespace adamw_operand;
  const std::uint32_t group = group_size(context.caps);
  const std::int64_t n = context.shape(parameters)[1];
  std::vector<Launch> launches;
  for (const Range part : pieces_of(n, rows_per_binding(context.caps, n, 4))) {
    const auto bind = [&](int index, Access access) {
      return rows_of(context.bind(index, access), part, 4);
    };
    Launch launch;
    launch.shader = Shader::adamw;
    launch.specialization = {{BX_ADAMW_GROUP_SIZE, group}};
    launch.set_push(AdamwPush{.n = to_uint(part.end - part.first)});
    launch.bindings = {bind(gradients, Access::read), context.bind(numbers, Access::read),
                       bind(parameters, Access::read_write), bind(first, Access::read_write),
                       bind(second, Access::read_write)};
    launch.grid[0].count =
        std::min(groups_for(part.end - part.first, group), context.caps.max_group_count[0]);
    launches.push_back(launch);
  }
  return launches;
}

}  // namespace

const VulkanKernel adamw_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
