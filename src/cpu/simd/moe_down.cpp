//   y[r] = residual[r] + sum_s gates[r, s] * (down[experts[r, s]] @ act[r, s]) + shared slot
#include "ops/moe_down.h"

#include <algorithm>

#include "cpu/simd/expert_slots.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"
#include "cpu/simd/rows.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_down_operand;

struct Scratch {
  std::int64_t max_rows, n_slots, d_model, intermediate;
  MatrixRows rows;  ///< [R * slots, I]
  TileMemory memory;
  float* products;  ///< [R, slots, D]
  ExpertSlots computed;

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : max_rows(node.shape(act)[0]),
        n_slots(node.shape(act)[1]),
        d_model(node.shape(down)[1]),
        intermediate(node.shape(down)[2]),
        rows(layout, max_rows * n_slots, intermediate),
        memory(layout, max_rows, intermediate, 1, n_threads),
        products(layout.take<float>(max_rows * n_slots * d_model)),
        computed(layout, max_rows, node.shape(down)[0], node.shape(experts)[1]) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const PackedWeight& experts_down = args.weight(down);
  const std::int64_t d_model = experts_down.desc.rows;
  const std::int64_t top_k = args.shape(experts)[1];
  const std::int64_t slots = args.shape(act)[1];
  const std::int64_t n_rows = args.n_rows();
  const bool shared = args.has(shared_down);
  ExpertSlots& computed = scratch.computed;
  computed.find(args.data<std::int32_t>(experts), n_rows, top_k, slots);
  scratch.rows.prepare(args, args.data(act), n_rows * slots, args.precision,
                       {&experts_down, shared ? &args.weight(shared_down) : nullptr});
  const std::int64_t n_tiles = tiles_of(experts_down);
  const auto active = computed.active();
  args.pool.parallel_for(
      std::ssize(active) * n_tiles, 2 * kTileRows * scratch.rows.cols(),
      [&](std::int64_t begin, std::int64_t end, int thread) {
        float* out = scratch.memory.output(thread, 0);
        for (std::int64_t item = begin; item < end; ++item) {
          const std::int64_t expert = active[static_cast<std::size_t>(item / n_tiles)];
          const std::int64_t tile = item % n_tiles;
          const std::int64_t n = computed.count(expert);
          const std::int32_t* places = computed.slots() + computed.first(expert);
          const bool is_shared = computed.is_shared(expert);
          tile_product(args, is_shared ? args.weight(shared_down) : experts_down,
                       is_shared ? 0 : expert, tile, scratch.rows, places, n,
                       scratch.memory.panel(thread), out);
          const std::int64_t first = tile * kTileRows;
          const std::int64_t count = std::min(kTileRows, d_model - first);
          for (std::int64_t i = 0; i < n; ++i)
            std::copy_n(out + i * kTileRows, count, scratch.products + places[i] * d_model + first);
        }
      });
  // Adds the slots in order, the largest gate first. So the order of additions does not depend on
  // the indices of the experts.
  args.pool.parallel_for(n_rows, 2 * slots * d_model,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t r = begin; r < end; ++r) {
                             float* out = args.data(y) + r * d_model;
                             std::copy_n(args.data(residual) + r * d_model, d_model, out);
                             for (std::int64_t s = 0; s < slots; ++s)
                               add_scaled(scratch.products + (r * slots + s) * d_model,
                                          args.data(gates)[r * (top_k + 1) + s], d_model, out);
                           }
                         });
}

}  // namespace

const CpuKernel simd_moe_down = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
