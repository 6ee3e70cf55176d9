//   a[r, s] = down[e]^T g_y[r], e = experts[r, s]
//   g_act[r, s] = gates[r, s] * a[r, s];  g_gates[r, s] = dot(a[r, s], act[r, s])
#include "ops/moe_down_backward.h"

#include <algorithm>

#include "cpu/simd/expert_slots.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/rows.h"
#include "cpu/simd/transposed.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_down_backward_operand;

struct Scratch {
  std::int64_t top_k, intermediate;
  StripRows rows;
  BlockMemory memory;
  ExpertSlots computed;
  std::int32_t* inputs;  ///< [R * top_k]: the row of g_y of each slot

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : top_k(node.shape(experts)[1]),
        intermediate(node.shape(act)[2]),
        rows(layout, node.shape(g_y)[0], node.shape(g_y)[1]),
        memory(layout, node.shape(g_y)[0], n_threads),
        computed(layout, node.shape(g_y)[0], node.shape(down)[0], top_k),
        inputs(layout.take<std::int32_t>(node.shape(experts).elements())) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const std::int64_t n_rows = args.n_rows();
  const std::int64_t n = scratch.intermediate;
  const std::int64_t top_k = scratch.top_k;
  ExpertSlots& computed = scratch.computed;
  computed.find(args.data<std::int32_t>(experts), n_rows, top_k, top_k);
  for (std::int64_t i = 0; i < n_rows * top_k; ++i)
    scratch.inputs[i] = computed.slots()[i] / static_cast<std::int32_t>(top_k);
  float* products = args.data(g_act);
  for (const std::int32_t expert : computed.active()) {
    const std::int64_t first_slot = computed.first(expert);
    const std::int32_t* places = computed.slots() + first_slot;
    scratch.rows.pack(args, args.data(g_y), args.shape(g_y)[1], scratch.inputs + first_slot,
                      computed.count(expert));
    for_each_transposed(args, args.weight(down), expert, scratch.rows, scratch.memory,
                        [&](std::int64_t i, std::int64_t first, const float* values,
                            std::int64_t distance, std::int64_t count) {
                          float* to = products + places[i] * n + first;
                          for (std::int64_t c = 0; c < count; ++c) to[c] = values[c * distance];
                        });
  }
  args.pool.parallel_for(n_rows, 3 * top_k * n, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t r = begin; r < end; ++r) {
      float* of_gates = args.data(g_gates) + r * (top_k + 1);
      for (std::int64_t s = 0; s < top_k; ++s) {
        float* a = products + (r * top_k + s) * n;
        of_gates[s] = simd_dot(a, args.data(act) + (r * top_k + s) * n, n);
        const float gate = args.data(gates)[r * (top_k + 1) + s];
        for (std::int64_t i = 0; i < n; ++i) a[i] *= gate;
      }
      of_gates[top_k] = 0;
    }
  });
}

}  // namespace

const CpuKernel simd_moe_down_backward = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
