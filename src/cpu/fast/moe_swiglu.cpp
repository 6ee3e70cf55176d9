//   y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]),  e = experts[r, s]
#include "ops/moe_swiglu.h"

#include "cpu/fast/expert_slots.h"
#include "cpu/fast/kernels.h"
#include "cpu/fast/matrix.h"
#include "cpu/fast/rows.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  ScratchLayout layout;
  MatrixRows rows;
  TileMemory memory;  ///< for gate and up
  ExpertSlots experts;
  std::int32_t* inputs;  ///< [R * (top_k + 1)]: the row of x of each slot

  Scratch(std::byte* base, std::int64_t n_rows, std::int64_t d_model, std::int64_t n_experts,
          std::int64_t top_k, int n_threads)
      : layout(base),
        rows(layout, n_rows, d_model),
        memory(layout, n_rows, d_model, 2, n_threads),
        experts(layout, n_rows, n_experts, top_k),
        inputs(layout.take<std::int32_t>(n_rows * (top_k + 1))) {}
};

void run(const KernelArgs& args) {
  using namespace moe_swiglu_operand;
  const PackedWeight& gates = args.weight(gate);
  const std::int64_t d_model = gates.desc.cols;
  const std::int64_t intermediate = gates.desc.rows;
  const std::int64_t n_experts = gates.desc.n_matrices;
  const std::int64_t top_k = args.shape(experts)[1];
  const std::int64_t slots = args.shape(y)[1];
  const std::int64_t n_rows = args.n_rows();
  const bool shared = args.has(shared_gate);
  Scratch scratch(args.scratch, args.shape(x)[0], d_model, n_experts, top_k, args.pool.n_threads());
  const ExpertSlots& computed = scratch.experts;
  scratch.experts.find(args.data<std::int32_t>(experts), n_rows, top_k, slots);
  for (std::int64_t i = 0; i < n_rows * slots; ++i)
    scratch.inputs[i] = computed.slots()[i] / static_cast<std::int32_t>(slots);
  scratch.rows.prepare(args, args.data(x), n_rows, args.fast,
                       {&gates, &args.weight(up), shared ? &args.weight(shared_gate) : nullptr,
                        shared ? &args.weight(shared_up) : nullptr});
  // One loop over the tiles of every expert that has rows, then those of the shared one: an item of
  // an expert without rows costs nothing.
  const std::int64_t n_tiles = tiles_of(gates);
  args.pool.parallel_for(computed.size() * n_tiles, 4 * kTileRows * d_model,
                         [&](std::int64_t begin, std::int64_t end, int thread) {
                           float* g = scratch.memory.output(thread, 0);
                           float* u = scratch.memory.output(thread, 1);
                           float* panel = scratch.memory.panel(thread);
                           for (std::int64_t item = begin; item < end; ++item) {
                             const std::int64_t expert = item / n_tiles;
                             const std::int64_t tile = item % n_tiles;
                             const std::int64_t n = computed.count(expert);
                             if (n == 0) continue;
                             const std::int32_t* inputs = scratch.inputs + computed.first(expert);
                             const bool is_shared = computed.is_shared(expert);
                             const std::int64_t matrix = is_shared ? 0 : expert;
                             tile_product(args, is_shared ? args.weight(shared_gate) : gates,
                                          matrix, tile, scratch.rows, inputs, n, panel, g);
                             tile_product(args, args.weight(is_shared ? shared_up : up), matrix,
                                          tile, scratch.rows, inputs, n, panel, u);
                             fast_swiglu(g, u, n * kTileRows, g);
                             const std::int32_t* places = computed.slots() + computed.first(expert);
                             const std::int64_t first = tile * kTileRows;
                             const std::int64_t count = std::min(kTileRows, intermediate - first);
                             for (std::int64_t i = 0; i < n; ++i)
                               std::copy_n(g + i * kTileRows, count,
                                           args.data(y) + places[i] * intermediate + first);
                           }
                         });
}

std::size_t workspace(const Graph& graph, const Node& node, int n_threads) {
  using namespace moe_swiglu_operand;
  const Shape& rows = graph.value(node.operands[x].value).shape;
  return Scratch(nullptr, rows[0], rows[1], graph.value(node.operands[gate].value).shape[0],
                 graph.value(node.operands[experts].value).shape[1], n_threads)
      .layout.size_bytes();
}

}  // namespace

const CpuKernel fast_moe_swiglu{run, workspace};

}  // namespace bitaxon::cpu
