//   gate[r, s] = gate[e] @ x[r], up[r, s] = up[e] @ x[r], e = experts[r, s]
#include "ops/moe_gate_up.h"

#include <algorithm>

#include "cpu/simd/expert_slots.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

namespace bitaxon::cpu {
namespace {

using namespace moe_gate_up_operand;

struct Scratch {
  std::int64_t d_model, top_k;
  MatrixRows rows;
  TileMemory memory;
  ExpertSlots computed;
  std::int32_t* inputs;  ///< [R * top_k]: the row of x of each slot

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : d_model(node.shape(x)[1]),
        top_k(node.shape(experts)[1]),
        rows(layout, node.shape(x)[0], d_model),
        memory(layout, node.shape(x)[0], d_model, 1, n_threads),
        computed(layout, node.shape(x)[0], node.shape(gate)[0], top_k),
        inputs(layout.take<std::int32_t>(node.shape(experts).elements())) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const std::int64_t intermediate = args.weight(gate).desc.rows;
  const std::int64_t n_rows = args.n_rows();
  ExpertSlots& computed = scratch.computed;
  computed.find(args.data<std::int32_t>(experts), n_rows, scratch.top_k, scratch.top_k);
  for (std::int64_t i = 0; i < n_rows * scratch.top_k; ++i)
    scratch.inputs[i] = computed.slots()[i] / static_cast<std::int32_t>(scratch.top_k);
  scratch.rows.prepare(args, args.data(x), n_rows, args.precision,
                       {&args.weight(gate), &args.weight(up)});
  // A single loop goes over the tiles of both matrices of all experts that have rows.
  const std::int64_t n_tiles = tiles_of(args.weight(gate));
  const auto active = computed.active();
  args.pool.parallel_for(
      2 * std::ssize(active) * n_tiles, 2 * kTileRows * scratch.d_model,
      [&](std::int64_t begin, std::int64_t end, int thread) {
        float* products = scratch.memory.output(thread, 0);
        for (std::int64_t item = begin; item < end; ++item) {
          const std::int64_t expert = active[static_cast<std::size_t>(item / n_tiles / 2)];
          const bool is_up = item / n_tiles % 2 != 0;
          const std::int64_t tile = item % n_tiles;
          const std::int64_t n = computed.count(expert);
          const std::int64_t first_slot = computed.first(expert);
          tile_product(args, args.weight(is_up ? up : gate), expert, tile, scratch.rows,
                       scratch.inputs + first_slot, n, scratch.memory.panel(thread), products);
          const std::int64_t first = tile * kTileRows;
          const std::int64_t count = std::min(kTileRows, intermediate - first);
          float* out = args.data(is_up ? up_rows : gate_rows) + first;
          for (std::int64_t i = 0; i < n; ++i)
            std::copy_n(products + i * kTileRows, count,
                        out + computed.slots()[first_slot + i] * intermediate);
        }
      });
}

}  // namespace

const CpuKernel simd_moe_gate_up = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
