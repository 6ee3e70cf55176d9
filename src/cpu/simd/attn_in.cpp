//   q = q_proj @ rms(x)
//   keys[p mod capacity] = k_proj @ rms(x);   values[p mod capacity] = v_proj @ rms(x)
#include "ops/attn_in.h"

#include <algorithm>

#include "core/half.h"
#include "cpu/ring_places.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"

namespace bitaxon::cpu {
namespace {

using namespace attn_in_operand;

struct Scratch {
  std::int64_t max_rows, d_model;
  float* normed;         ///< [R, D]
  std::int64_t* places;  ///< [2, R]: the offset of each row in the keys and in the values
  MatrixRows rows;
  TileMemory memory;

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : max_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        normed(layout.take<float>(max_rows * d_model)),
        places(layout.take<std::int64_t>(2 * max_rows)),
        rows(layout, max_rows, d_model),
        memory(layout, max_rows, d_model, 1, n_threads) {}
};

void append(const KernelArgs& args, int ring, std::int64_t at, const float* values,
            std::int64_t count) {
  if (args.value(ring).dtype == DType::f16) {
    auto* out = args.data<std::uint16_t>(ring) + at;
    for (std::int64_t i = 0; i < count; ++i) out[i] = f32_to_f16(values[i]);
  } else {
    std::copy_n(values, count, args.data<float>(ring) + at);
  }
}

void run(const KernelArgs& args, Scratch& scratch) {
  const std::int64_t d_model = args.shape(q)[1];
  const std::int64_t n_rows = args.n_rows();
  const float* source = args.data(x);
  if (args.has(norm)) {
    norm_rows(args, source, args.weight(norm), args.params<AttnInParams>().eps, n_rows, d_model,
              scratch.normed);
    source = scratch.normed;
  }
  find_ring_places(args, keys, scratch.places);
  find_ring_places(args, values, scratch.places + scratch.max_rows);
  const auto matrices = {&args.weight(q_proj), &args.weight(k_proj), &args.weight(v_proj)};
  scratch.rows.prepare(args, source, n_rows, args.precision, matrices);
  for_each_tile(
      args, matrices, scratch.rows, n_rows, scratch.memory,
      [&](int matrix, std::int64_t r, std::int64_t first, const float* found, std::int64_t count) {
        if (matrix == 0)
          std::copy_n(found, count, args.data(q) + r * d_model + first);
        else if (matrix == 1)
          append(args, keys, scratch.places[r] + first, found, count);
        else
          append(args, values, scratch.places[scratch.max_rows + r] + first, found, count);
      });
}

}  // namespace

const CpuKernel simd_attn_in = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
