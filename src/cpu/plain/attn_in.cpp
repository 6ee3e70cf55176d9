//   q = turn(q_proj @ rms(x) + q_bias, q_norm)
//   keys[p] = turn(k_proj @ rms(x) + k_bias, k_norm)
//   values[p] = v_proj @ rms(x) + v_bias
// p is the position of a row. turn() normalizes each head and rotates it by its position.
#include "ops/attn_in.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "cpu/page_places.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

using namespace attn_in_operand;

struct Scratch {
  std::int64_t d_model, q_width, kv_width;
  float* norm;           ///< [D]
  float* normed;         ///< [R, D]
  float* rows;           ///< [n_threads, D]
  float* appended;       ///< [R, Hk * d]: new keys or values
  float* bias;           ///< [Hq * d or Hk * d, the larger]
  float* head_norm;      ///< [Hq * d or Hk * d, the larger]
  float* angles;         ///< [R, d]: a row of the rotary table for each row of the step
  std::int64_t* target;  ///< [R]: the offset of each row in the pages of the KV cache, in elements

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : d_model(node.shape(x)[1]), q_width(node.shape(q)[1]), kv_width(node.shape(keys)[1]) {
    const std::int64_t n_rows = node.shape(x)[0];
    const std::int64_t widest = std::max(q_width, kv_width);
    norm = layout.take<float>(d_model);
    normed = layout.take<float>(n_rows * d_model);
    rows = layout.take<float>(n_threads * d_model);
    appended = layout.take<float>(n_rows * kv_width);
    bias = layout.take<float>(widest);
    head_norm = layout.take<float>(widest);
    angles = layout.take<float>(node.has(rotary) ? n_rows * node.shape(rotary)[2] : 0);
    target = layout.take<std::int64_t>(n_rows);
  }
};

/// out = projection @ x + bias. The sum is rounded once.
void project(const KernelArgs& args, int projection, int bias, const float* x_rows,
             const Scratch& scratch, std::int64_t width, float* out) {
  const bool has_bias = args.has(bias);
  if (has_bias) decode_all(args.weight(bias), scratch.bias);
  for_each_product(
      args, args.weight(projection), 0, args.n_rows(), scratch.rows,
      [&](std::int64_t r) { return x_rows + r * scratch.d_model; },
      [&](std::int64_t r, std::int64_t o, double product) {
        if (has_bias) product += static_cast<double>(scratch.bias[o]);
        out[r * width + o] = static_cast<float>(product);
      });
}

/// Copies the row of the rotary table for each row of the step. A position outside the table gets
/// NaN.
void find_angles(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t n_positions = args.shape(rotary)[1];
  const std::int64_t head_dim = args.shape(rotary)[2];
  for (const SegmentWords& segment : args.segments())
    for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
      float* row = scratch.angles + (segment.first_row + i) * head_dim;
      const std::int64_t position = std::int64_t{segment.position} + i;
      if (position < n_positions)
        decode_row(args.weight(rotary), 0, position, row);
      else
        std::fill_n(row, head_dim, std::numeric_limits<float>::quiet_NaN());
    }
}

/// Normalizes and rotates one head. `norm` or `angles` is null if that part is left out.
void turn(float* head, std::int64_t head_dim, const float* norm, float eps, const float* angles) {
  double scale = 1;
  if (norm != nullptr)
    scale = 1.0 / std::sqrt(dot(head, head, head_dim) / static_cast<double>(head_dim) +
                            static_cast<double>(eps));
  const auto value = [&](std::int64_t c) {
    const auto v = static_cast<double>(head[c]);
    return norm == nullptr ? v : static_cast<double>(norm[c]) * v * scale;
  };
  if (angles == nullptr) {
    for (std::int64_t c = 0; c < head_dim; ++c) head[c] = static_cast<float>(value(c));
    return;
  }
  const std::int64_t half = head_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const auto cosine = static_cast<double>(angles[2 * i]);
    const auto sine = static_cast<double>(angles[2 * i + 1]);
    const double low = value(i);
    const double high = value(i + half);
    head[i] = static_cast<float>(low * cosine - high * sine);
    head[i + half] = static_cast<float>(high * cosine + low * sine);
  }
}

/// Normalizes and rotates the heads of all rows, if the op has norms or a rotary table.
void turn_rows(const KernelArgs& args, int norm, const Scratch& scratch, std::int64_t width,
               float* rows) {
  const bool rotates = args.has(rotary);
  if (!args.has(norm) && !rotates) return;
  const std::int64_t head_dim = rotates ? args.shape(rotary)[2] : args.shape(norm)[2];
  if (args.has(norm)) decode_all(args.weight(norm), scratch.head_norm);
  const float* head_norm = args.has(norm) ? scratch.head_norm : nullptr;
  const float eps = args.params<AttnInParams>().eps;
  const std::int64_t n_heads = width / head_dim;
  args.pool.parallel_for(args.n_rows() * n_heads, 8 * head_dim,
                         [&](std::int64_t begin, std::int64_t end, int) {
                           for (std::int64_t item = begin; item < end; ++item)
                             turn(rows + item * head_dim, head_dim, head_norm, eps,
                                  rotates ? scratch.angles + item / n_heads * head_dim : nullptr);
                         });
}

/// Writes the new rows to their pages.
void append(const KernelArgs& args, int pages, const Scratch& scratch) {
  find_places(args, pages, scratch.target);
  const bool half = args.value(pages).dtype == DType::f16;
  for (std::int64_t r = 0; r < args.n_rows(); ++r) {
    const float* from = scratch.appended + r * scratch.kv_width;
    for (std::int64_t c = 0; c < scratch.kv_width; ++c) {
      const std::int64_t at = scratch.target[r] + c;
      if (half)
        args.data<std::uint16_t>(pages)[at] = f32_to_f16(from[c]);
      else
        args.data<float>(pages)[at] = from[c];
    }
  }
}

void run(const KernelArgs& args, const Scratch& scratch) {
  const float* normed = args.data(x);
  if (args.has(norm)) {
    rms_norm_rows(args, normed, args.weight(norm), args.params<AttnInParams>().eps, args.n_rows(),
                  scratch.d_model, scratch.norm, scratch.normed);
    normed = scratch.normed;
  }
  if (args.has(rotary)) find_angles(args, scratch);
  project(args, q_proj, q_bias, normed, scratch, scratch.q_width, args.data(q));
  turn_rows(args, q_norm, scratch, scratch.q_width, args.data(q));
  project(args, k_proj, k_bias, normed, scratch, scratch.kv_width, scratch.appended);
  turn_rows(args, k_norm, scratch, scratch.kv_width, scratch.appended);
  append(args, keys, scratch);
  project(args, v_proj, v_bias, normed, scratch, scratch.kv_width, scratch.appended);
  append(args, values, scratch);
}

}  // namespace

const CpuKernel attn_in_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
