//   y = turn(q, q_norm);  keys[p] = turn(k, k_norm);  values[p] = v
// p is the position of a row. turn() normalizes each head and rotates it by its position.
#include "ops/attn_append.h"

#include <algorithm>

#include "core/half.h"
#include "cpu/head_turns.h"
#include "cpu/page_places.h"
#include "cpu/plain/formulas/heads.h"

namespace bitaxon::cpu {
namespace {

using namespace attn_append_operand;

struct Scratch {
  HeadTurns turns;
  float* turned;         ///< [R, Hk * d]: the new keys
  std::int64_t* places;  ///< [R]: the offset of each row in the pages

  Scratch(ScratchLayout& layout, const NodeView& node, int)
      : turns(layout, node, q_norm, node.shape(q)[0]),
        turned(layout.take<float>(node.shape(k).elements())),
        places(layout.take<std::int64_t>(node.shape(q)[0])) {}
};

/// Turns the heads of all rows of x.
void turn_rows(const KernelArgs& args, const HeadTurns& turns, const float* norm, const float* x,
               std::int64_t width, float* out) {
  const std::int64_t head_dim = turns.head_dim > 0 ? turns.head_dim : width;
  const std::int64_t n_heads = width / head_dim;
  const auto eps = static_cast<double>(args.params<AttnAppendParams>().eps);
  args.pool.parallel_for(
      args.n_rows() * n_heads, 8 * head_dim, [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t item = begin; item < end; ++item) {
          const float* angles =
              turns.angles == nullptr ? nullptr : turns.angles + item / n_heads * head_dim;
          formulas::HeadTurn<float>{head_dim, norm, angles, eps}.forward(x + item * head_dim,
                                                                         out + item * head_dim);
        }
      });
}

/// Writes the rows x to their pages.
void append(const KernelArgs& args, int pages, const float* x, std::int64_t* places) {
  find_places(args, pages, places);
  const std::int64_t width = args.shape(pages)[1];
  const bool half = args.value(pages).dtype == DType::f16;
  for (std::int64_t r = 0; r < args.n_rows(); ++r) {
    const float* from = x + r * width;
    if (!half) {
      std::copy_n(from, width, args.data<float>(pages) + places[r]);
      continue;
    }
    auto* to = args.data<std::uint16_t>(pages) + places[r];
    for (std::int64_t c = 0; c < width; ++c) to[c] = f32_to_f16(from[c]);
  }
}

void run(const KernelArgs& args, Scratch& scratch) {
  scratch.turns.decode(args, q_norm);
  turn_rows(args, scratch.turns, scratch.turns.q_norm, args.data(q), args.shape(q)[1],
            args.data(y));
  turn_rows(args, scratch.turns, scratch.turns.k_norm, args.data(k), args.shape(k)[1],
            scratch.turned);
  append(args, keys, scratch.turned, scratch.places);
  append(args, values, args.data(v), scratch.places);
}

}  // namespace

const CpuKernel attn_append_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
