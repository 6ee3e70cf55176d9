//   log_probs[output_rows[o]] = log softmax(logits[o])[label]
//   g_logits[o, v] = factors[output_rows[o]] * (softmax(logits[o])[v] - (v == label))
#include "ops/cross_entropy.h"

#include "shaders/params/cross_entropy.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

/// One launch for each part of the logits that a binding can hold.
std::vector<Launch> launch(const LaunchContext& context) {
  using namespace cross_entropy_operand;
  const std::int64_t n_rows = context.shape(logits)[0];
  const std::int64_t n_cols = context.shape(logits)[1];
  std::vector<Launch> launches;
  for (const Range rows : pieces_of(n_rows, rows_per_binding(context.caps, n_rows, n_cols * 4))) {
    Launch launch;
    launch.shader = Shader::cross_entropy;
    launch.specialization = {{BX_CROSS_ENTROPY_GROUP_SIZE, group_size(context.caps, 256)}};
    launch.set_push(CrossEntropyPush{
        .n_cols = to_uint(n_cols), .first_row = to_uint(rows.first), .end_row = to_uint(rows.end)});
    launch.bindings = {context.step(),
                       rows_of(context.bind(logits, Access::read), rows, n_cols * 4),
                       context.bind(factors, Access::read), context.bind(log_probs, Access::write),
                       rows_of(context.bind(g_logits, Access::write), rows, n_cols * 4)};
    launch.grid[0] = {.per = RowSpace::outputs};
    launches.push_back(launch);
  }
  return launches;
}

}  // namespace

const VulkanKernel cross_entropy_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
