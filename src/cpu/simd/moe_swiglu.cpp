//   y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]),  e = experts[r, s]
#include "ops/moe_swiglu.h"

#include <algorithm>

#include "cpu/simd/expert_slots.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/swiglu_tiles.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_swiglu_operand;

struct Scratch {
  std::int64_t max_rows, d_model, top_k;
  MatrixRows rows;
  TileMemory memory;  ///< the tiles of gate, then the tiles of up
  ExpertSlots computed;
  std::int32_t* inputs;  ///< [R * (top_k + 1)]: the row of x of each slot

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : max_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        top_k(node.shape(experts)[1]),
        rows(layout, max_rows, d_model),
        memory(layout, max_rows, d_model, 2 * static_cast<int>(swiglu_tiles_at_once(max_rows)),
               n_threads),
        computed(layout, max_rows, node.shape(gate)[0], top_k),
        inputs(layout.take<std::int32_t>(max_rows * (top_k + 1))) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const PackedWeight& gates = args.weight(gate);
  const std::int64_t intermediate = gates.desc.rows;
  const std::int64_t slots = args.shape(y)[1];
  const std::int64_t n_rows = args.n_rows();
  const bool shared = args.has(shared_gate);
  ExpertSlots& computed = scratch.computed;
  computed.find(args.data<std::int32_t>(experts), n_rows, scratch.top_k, slots);
  for (std::int64_t i = 0; i < n_rows * slots; ++i)
    scratch.inputs[i] = computed.slots()[i] / static_cast<std::int32_t>(slots);
  scratch.rows.prepare(args, args.data(x), n_rows, args.precision,
                       {&gates, &args.weight(up), shared ? &args.weight(shared_gate) : nullptr,
                        shared ? &args.weight(shared_up) : nullptr});
  // A single loop goes over the tiles of all experts that have rows.
  const std::int64_t n_tiles = tiles_of(gates);
  const std::int64_t at_once = swiglu_tiles_at_once(scratch.max_rows);
  const auto active = computed.active();
  args.pool.parallel_for(
      std::ssize(active) * n_tiles, 4 * kTileRows * scratch.d_model,
      [&](std::int64_t begin, std::int64_t end, int thread) {
        for (std::int64_t item = begin, n_now = 0; item < end; item += n_now) {
          const std::int64_t expert = active[static_cast<std::size_t>(item / n_tiles)];
          const std::int64_t tile = item % n_tiles;
          n_now = std::min({at_once, end - item, n_tiles - tile});
          const bool is_shared = computed.is_shared(expert);
          const std::int64_t first_slot = computed.first(expert);
          const std::int32_t* places = computed.slots() + first_slot;
          multiply_swiglu(
              args,
              {.gate = args.weight(is_shared ? shared_gate : gate),
               .up = args.weight(is_shared ? shared_up : up),
               .matrix = is_shared ? 0 : expert,
               .first_tile = tile,
               .n_tiles = n_now,
               .indices = scratch.inputs + first_slot,
               .n_rows = computed.count(expert)},
              scratch.rows, scratch.memory, thread,
              [&](std::int64_t r, std::int64_t first, const float* values, std::int64_t count) {
                std::copy_n(values, count, args.data(y) + places[r] * intermediate + first);
              });
        }
      });
}

}  // namespace

const CpuKernel simd_moe_swiglu = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
