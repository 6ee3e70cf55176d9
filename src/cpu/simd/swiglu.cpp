//   y[r] = silu(gate @ n(x[r])) * (up @ n(x[r]))
#include "ops/swiglu.h"

#include <algorithm>

#include "cpu/simd/kernels.h"
#include "cpu/simd/swiglu_tiles.h"

namespace bitaxon::cpu {
namespace {

using namespace swiglu_operand;

struct Scratch {
  std::int64_t max_rows, d_model;
  float* normed;  ///< [R, D]
  MatrixRows rows;
  TileMemory memory;  ///< the tiles of gate, then the tiles of up

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : max_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        normed(layout.take<float>(node.has(norm) ? max_rows * d_model : 0)),
        rows(layout, max_rows, d_model),
        memory(layout, max_rows, d_model, 2 * static_cast<int>(swiglu_tiles_at_once(max_rows)),
               n_threads) {}
};

void run(const KernelArgs& args, Scratch& scratch) {
  const PackedWeight& gates = args.weight(gate);
  const PackedWeight& ups = args.weight(up);
  const std::int64_t intermediate = gates.desc.rows;
  const std::int64_t n_rows = args.n_rows();
  const float* source = args.data(x);
  if (args.has(norm)) {
    norm_rows(args, source, args.weight(norm), args.params<SwigluParams>().eps, n_rows,
              scratch.d_model, scratch.normed);
    source = scratch.normed;
  }
  scratch.rows.prepare(args, source, n_rows, args.precision, {&gates, &ups});
  const std::int64_t at_once = swiglu_tiles_at_once(scratch.max_rows);
  args.pool.parallel_for(
      tiles_of(gates), 4 * kTileRows * scratch.d_model * n_rows,
      [&](std::int64_t begin, std::int64_t end, int thread) {
        for (std::int64_t tile = begin; tile < end; tile += at_once)
          multiply_swiglu(
              args,
              {.gate = gates,
               .up = ups,
               .first_tile = tile,
               .n_tiles = std::min(at_once, end - tile),
               .n_rows = n_rows},
              scratch.rows, scratch.memory, thread,
              [&](std::int64_t r, std::int64_t first, const float* values, std::int64_t count) {
                std::copy_n(values, count, args.data(y) + r * intermediate + first);
              });
      });
}

}  // namespace

const CpuKernel simd_swiglu = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
