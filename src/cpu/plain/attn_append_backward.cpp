// The gradients of attn_append: the rotation and the norm of each head, backwards.
#include "ops/attn_append_backward.h"

#include <algorithm>

#include "cpu/head_turns.h"
#include "cpu/page_places.h"
#include "cpu/plain/formulas/heads.h"

namespace bitaxon::cpu {
namespace {

using namespace attn_append_backward_operand;

struct Scratch {
  HeadTurns turns;
  std::int64_t* places;  ///< [R]: the offset of each row in the pages

  Scratch(ScratchLayout& layout, const NodeView& node, int)
      : turns(layout, node, q_norm, node.shape(q)[0]),
        places(layout.take<std::int64_t>(node.shape(q)[0])) {}
};

/// Computes the gradients of the heads of all rows.
/// g_row  gives the gradient of the turned row r
template <class GRow>
void turn_back(const KernelArgs& args, const HeadTurns& turns, const float* norm, const float* x,
               std::int64_t width, const GRow& g_row, float* g_x) {
  const std::int64_t head_dim = turns.head_dim > 0 ? turns.head_dim : width;
  const std::int64_t n_heads = width / head_dim;
  const auto eps = static_cast<double>(args.params<AttnAppendParams>().eps);
  args.pool.parallel_for(
      args.n_rows() * n_heads, 16 * head_dim, [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t item = begin; item < end; ++item) {
          const std::int64_t r = item / n_heads;
          const float* angles = turns.angles == nullptr ? nullptr : turns.angles + r * head_dim;
          formulas::HeadTurn<float>{head_dim, norm, angles, eps}.backward(
              x + item * head_dim, g_row(r) + item % n_heads * head_dim, g_x + item * head_dim);
        }
      });
}

void run(const KernelArgs& args, Scratch& scratch) {
  scratch.turns.decode(args, q_norm);
  const std::int64_t q_width = args.shape(q)[1];
  const std::int64_t kv_width = args.shape(k)[1];
  turn_back(
      args, scratch.turns, scratch.turns.q_norm, args.data(q), q_width,
      [&](std::int64_t r) { return args.data(g_y) + r * q_width; }, args.data(g_q));
  find_places(args, g_keys, scratch.places);
  turn_back(
      args, scratch.turns, scratch.turns.k_norm, args.data(k), kv_width,
      [&](std::int64_t r) { return args.data(g_keys) + scratch.places[r]; }, args.data(g_k));
  find_places(args, g_values, scratch.places);
  for (std::int64_t r = 0; r < args.n_rows(); ++r)
    std::copy_n(args.data(g_values) + scratch.places[r], kv_width, args.data(g_v) + r * kv_width);
}

}  // namespace

const CpuKernel attn_append_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
