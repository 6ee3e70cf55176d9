//   n[k] = || W[k, :] + scale * (A B)^T[k, :] ||
#include "ops/dora_norms.h"

#include "shaders/params/dora_norms.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace dora_norms_operand;
  const auto place = context.params<AdapterPlace>();
  const std::int64_t n_out = context.shape(weight)[1];
  const std::int64_t n_in = context.shape(weight)[2];
  const std::int64_t rank = place.rank;
  const auto a = context.bind_part(parameters, Access::read, place.a, n_in * rank);
  const auto b = context.bind_part(parameters, Access::read, place.b, rank * n_out);
  const auto n = context.bind_part(norms, Access::write, place.norm, n_out);
  Launch launch;
  launch.shader = Shader::dora_norms;
  launch.specialization = {{BX_DORA_NORMS_GROUP_SIZE, group_size(context.caps)},
                           {BX_DORA_NORMS_FORM, context.form(weight)}};
  launch.set_push(DoraNormsPush{.weight = context.address(weight),
                                .n_in = to_uint(n_in),
                                .n_out = to_uint(n_out),
                                .rank = to_uint(rank),
                                .scale = place.scale,
                                .a = a.offset,
                                .b = b.offset,
                                .norm = n.offset});
  launch.bindings = {a.binding, b.binding, n.binding};
  launch.grid[0].count = to_uint(n_out);
  return {launch};
}

}  // namespace

const VulkanKernel dora_norms_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
