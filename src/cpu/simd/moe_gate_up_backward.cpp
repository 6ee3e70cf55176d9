//   g_x[r] = sum_s gate[e]^T g_gate[r, s] + up[e]^T g_up[r, s], e = experts[r, s]
#include "ops/moe_gate_up_backward.h"

#include <algorithm>
#include <utility>

#include "cpu/simd/expert_slots.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/rows.h"
#include "cpu/simd/transposed.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_gate_up_backward_operand;

struct Scratch {
  std::int64_t top_k, d_model;
  StripRows rows;
  BlockMemory memory;
  ExpertSlots computed;
  float* products;  ///< [R, top_k, D]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : top_k(node.shape(experts)[1]),
        d_model(node.shape(g_x)[1]),
        rows(layout, node.shape(g_x)[0], node.shape(gate)[1]),
        memory(layout, node.shape(g_x)[0], n_threads),
        computed(layout, node.shape(g_x)[0], node.shape(gate)[0], top_k),
        products(layout.take<float>(node.shape(experts).elements() * d_model)) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const std::int64_t n_rows = args.n_rows();
  const std::int64_t d_model = scratch.d_model;
  const std::int64_t top_k = scratch.top_k;
  const std::int64_t intermediate = args.weight(gate).desc.rows;
  ExpertSlots& computed = scratch.computed;
  computed.find(args.data<std::int32_t>(experts), n_rows, top_k, top_k);
  for (const std::int32_t expert : computed.active()) {
    const std::int32_t* places = computed.slots() + computed.first(expert);
    for (const auto& [weight, g] : {std::pair(gate, g_gate), std::pair(up, g_up)}) {
      scratch.rows.pack(args, args.data(g), intermediate, places, computed.count(expert));
      for_each_transposed(
          args, args.weight(weight), expert, scratch.rows, scratch.memory,
          [&, adds = weight == up](std::int64_t i, std::int64_t first, const float* values,
                                   std::int64_t distance, std::int64_t count) {
            float* to = scratch.products + places[i] * d_model + first;
            for (std::int64_t c = 0; c < count; ++c)
              to[c] = adds ? to[c] + values[c * distance] : values[c * distance];
          });
    }
  }
  args.pool.parallel_for(n_rows, 2 * top_k * d_model,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t r = begin; r < end; ++r) {
                             const float* from = scratch.products + r * top_k * d_model;
                             float* to = args.data(g_x) + r * d_model;
                             std::copy_n(from, d_model, to);
                             for (std::int64_t s = 1; s < top_k; ++s)
                               add_scaled(from + s * d_model, 1, d_model, to);
                           }
                         });
}

}  // namespace

const CpuKernel simd_moe_gate_up_backward = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
