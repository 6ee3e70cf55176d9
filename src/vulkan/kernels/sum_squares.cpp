//   result = sum_i vector[i]^2
#include "ops/sum_squares.h"

#include <algorithm>

#include "shaders/params/sum_squares.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace sum_squares_operand;

constexpr std::int64_t kBlock = BX_SUM_SQUARES_BLOCK;

/// The parts of a vector that one launch adds: whole blocks, as many as a binding and a grid can have.
std::vector<Range> parts_of(const DeviceCaps& caps, std::int64_t n) {
  const std::int64_t most = rows_per_binding(caps, n, 4) / kBlock * kBlock;
  return pieces_of(n, std::clamp(most, kBlock, caps.max_group_count[0] * kBlock));
}

struct SumSquaresPlan {
  std::int64_t n;
  ScratchPlan scratch;
  ScratchPlan::Block sums;  ///< a pair of words for each block

  SumSquaresPlan(const NodeView& node, const DeviceCaps&)
      : n(node.shape(vector)[1]), sums(scratch.take(2 * divide_up(n, kBlock))) {}
};

std::vector<Launch> launches(const LaunchContext& context, const SumSquaresPlan& plan) {
  const std::uint32_t group = group_size(context.caps, 256);
  std::vector<Launch> launches;
  for (const Range part : parts_of(context.caps, plan.n)) {
    Launch launch;
    launch.shader = Shader::sum_squares;
    launch.specialization = {{BX_SUM_SQUARES_GROUP_SIZE, group}};
    launch.set_push(
        SumSquaresPush{.n = to_uint(part.end - part.first), .first = to_uint(part.first / kBlock)});
    launch.bindings = {rows_of(context.bind(vector, Access::read), part, 4),
                       context.scratch(plan.sums, Access::write)};
    launch.grid[0].count = groups_for(part.end - part.first, kBlock);
    launches.push_back(launch);
  }
  Launch end;
  end.shader = Shader::sum_squares_end;
  end.specialization = {{BX_SUM_SQUARES_END_GROUP_SIZE, group}};
  end.set_push(SumSquaresPush{.n = to_uint(divide_up(plan.n, kBlock)), .first = 0});
  end.bindings = {context.scratch(plan.sums, Access::read), context.bind(result, Access::write)};
  launches.push_back(end);
  return launches;
}

}  // namespace

const VulkanKernel sum_squares_kernel = kernel_with_plan<SumSquaresPlan, launches>();

}  // namespace bitaxon::vulkan
