//   q = turn(q_proj @ rms(x) + q_bias, q_norm)
//   keys[p] = turn(k_proj @ rms(x) + k_bias, k_norm)
//   values[p] = v_proj @ rms(x) + v_bias
// p is the position of a row. turn() normalizes each head and rotates it by its position.
#include "ops/attn_in.h"

#include <algorithm>
#include <limits>

#include "core/half.h"
#include "cpu/page_places.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/matrix.h"
#include "cpu/simd/rows.h"

namespace bitaxon::cpu {
namespace {

using namespace attn_in_operand;

/// The width of a head of a node that normalizes or rotates heads, else 0.
std::int64_t turned_width(const NodeView& node) {
  for (const int operand : {rotary, q_norm, k_norm})
    if (node.has(operand)) return node.shape(operand)[2];
  return 0;
}

struct Scratch {
  std::int64_t max_rows, d_model, q_width, kv_width, head_dim;
  float* normed;         ///< [R, D]
  float* new_keys;       ///< [R, Hk * d]: keys that are turned before they are appended
  float* angles;         ///< [R, d]: a row of the rotary table for each row of the step
  float* vectors;        ///< room for decoded biases and norms, in the order of the operands
  std::int64_t* places;  ///< [2, R]: the offset of each row in the keys and in the values
  MatrixRows rows;
  TileMemory memory;

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : max_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        q_width(node.shape(q)[1]),
        kv_width(node.shape(keys)[1]),
        head_dim(turned_width(node)),
        normed(layout.take<float>(max_rows * d_model)),
        new_keys(layout.take<float>(head_dim > 0 ? max_rows * kv_width : 0)),
        angles(layout.take<float>(node.has(rotary) ? max_rows * head_dim : 0)),
        vectors(layout.take<float>(q_width + 2 * kv_width + 2 * head_dim)),
        places(layout.take<std::int64_t>(2 * max_rows)),
        rows(layout, max_rows, d_model),
        memory(layout, max_rows, d_model, 1, n_threads) {}
};

/// The decoded biases and norms. Null for one that is absent.
struct Vectors {
  const float* biases[3];  ///< of q, k and v
  const float* norms[2];   ///< of the heads of q and k

  Vectors(const KernelArgs& args, const Scratch& scratch) {
    float* room = scratch.vectors;
    const auto decoded = [&](int operand, std::int64_t width) {
      float* place = room;
      room += width;
      return args.has(operand) ? columns_of(args.weight(operand), place) : nullptr;
    };
    biases[0] = decoded(q_bias, scratch.q_width);
    biases[1] = decoded(k_bias, scratch.kv_width);
    biases[2] = decoded(v_bias, scratch.kv_width);
    norms[0] = decoded(q_norm, scratch.head_dim);
    norms[1] = decoded(k_norm, scratch.head_dim);
  }
};

/// Writes a part of a row to its page, from element `at` of the tensor on.
void append(const KernelArgs& args, int pages, std::int64_t at, const float* values,
            std::int64_t count) {
  if (args.value(pages).dtype == DType::f16) {
    auto* out = args.data<std::uint16_t>(pages) + at;
    for (std::int64_t i = 0; i < count; ++i) out[i] = f32_to_f16(values[i]);
  } else {
    std::copy_n(values, count, args.data<float>(pages) + at);
  }
}

/// Copies the row of the rotary table for each row of the step. A position outside the table gets
/// NaN.
void find_angles(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t n_positions = args.shape(rotary)[1];
  for (const SegmentWords& segment : args.segments())
    for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
      float* row = scratch.angles + (segment.first_row + i) * scratch.head_dim;
      const std::int64_t position = std::int64_t{segment.position} + i;
      if (position < n_positions)
        decode_row(args.weight(rotary), 0, position, row);
      else
        std::fill_n(row, scratch.head_dim, std::numeric_limits<float>::quiet_NaN());
    }
}

void rotate(float* head, const float* angles, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const float low = head[i];
    const float high = head[i + half];
    head[i] = low * angles[2 * i] - high * angles[2 * i + 1];
    head[i + half] = high * angles[2 * i] + low * angles[2 * i + 1];
  }
}

/// Normalizes and rotates the heads of queries, then the heads of keys, and appends the keys.
void turn_heads(const KernelArgs& args, const Scratch& scratch, const Vectors& vectors) {
  const std::int64_t head_dim = scratch.head_dim;
  const float eps = args.params<AttnInParams>().eps;
  const std::int64_t q_heads = scratch.q_width / head_dim;
  const std::int64_t n_heads = q_heads + scratch.kv_width / head_dim;
  args.pool.parallel_for(args.n_rows() * n_heads, 8 * head_dim,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t item = begin; item < end; ++item) {
                             const std::int64_t r = item / n_heads;
                             const std::int64_t h = item % n_heads;
                             const bool is_key = h >= q_heads;
                             const std::int64_t column = (is_key ? h - q_heads : h) * head_dim;
                             float* head = is_key ? scratch.new_keys + r * scratch.kv_width + column
                                                  : args.data(q) + r * scratch.q_width + column;
                             if (const float* weight = vectors.norms[is_key ? 1 : 0])
                               rms_norm_row(head, weight, eps, head_dim, head);
                             if (args.has(rotary))
                               rotate(head, scratch.angles + r * head_dim, head_dim);
                             if (is_key)
                               append(args, keys, scratch.places[r] + column, head, head_dim);
                           }
                         });
}

void run(const KernelArgs& args, Scratch& scratch) {
  const std::int64_t n_rows = args.n_rows();
  const float* source = args.data(x);
  if (args.has(norm)) {
    norm_rows(args, source, args.weight(norm), args.params<AttnInParams>().eps, n_rows,
              scratch.d_model, scratch.normed);
    source = scratch.normed;
  }
  const Vectors vectors(args, scratch);
  const bool turns = scratch.head_dim > 0;
  if (args.has(rotary)) find_angles(args, scratch);
  find_places(args, keys, scratch.places);
  find_places(args, values, scratch.places + scratch.max_rows);
  const auto matrices = {&args.weight(q_proj), &args.weight(k_proj), &args.weight(v_proj)};
  scratch.rows.prepare(args, source, n_rows, args.precision, matrices);
  for_each_tile(
      args, matrices, scratch.rows, n_rows, scratch.memory,
      [&](int matrix, std::int64_t r, std::int64_t first, float* found, std::int64_t count) {
        if (const float* bias = vectors.biases[matrix])
          for (std::int64_t i = 0; i < count; ++i) found[i] += bias[first + i];
        if (matrix == 0)
          std::copy_n(found, count, args.data(q) + r * scratch.q_width + first);
        else if (matrix == 1 && turns)
          std::copy_n(found, count, scratch.new_keys + r * scratch.kv_width + first);
        else if (matrix == 1)
          append(args, keys, scratch.places[r] + first, found, count);
        else
          append(args, values, scratch.places[scratch.max_rows + r] + first, found, count);
      });
  if (turns) turn_heads(args, scratch, vectors);
}

}  // namespace

const CpuKernel simd_attn_in = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
