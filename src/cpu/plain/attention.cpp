//   y[i, head] = sum_j softmax_j(q[i] . k[j] / sqrt(head_dim)) * v[j],  j <= i, i - j < window
// Each head of keys and values serves n_heads / n_kv_heads adjacent heads of queries.
#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  std::int64_t window, head_dim;
  double* scores;  ///< [n_threads, window]
  double* sums;    ///< [n_threads, head_dim]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads) {
    const auto params = node.params<AttentionParams>();
    const Shape& ring = node.shape(attention_operand::keys);
    window = std::min(params.window, ring[0]);
    head_dim = ring[1] / params.n_kv_heads;
    scores = layout.take<double>(n_threads * window);
    sums = layout.take<double>(n_threads * head_dim);
  }
};

double load(const float* p) { return static_cast<double>(*p); }
double load(const std::uint16_t* p) { return static_cast<double>(f16_to_f32(*p)); }

/// Computes one head of one row. `keys` and `values` point to this head in row 0 of the ring
/// buffers of the KV cache.
template <class Element>
void attend(const float* q, const Element* keys, const Element* values, std::int64_t position,
            std::int64_t window, const Shape& ring, std::int64_t head_dim, double* scores,
            double* sums, float* y) {
  const std::int64_t capacity = ring[0];
  const std::int64_t kv_width = ring[1];
  const std::int64_t first = std::max<std::int64_t>(0, position - window + 1);
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t j = first; j <= position; ++j) {
    const Element* k = keys + j % capacity * kv_width;
    double score = 0;
    for (std::int64_t c = 0; c < head_dim; ++c) score += static_cast<double>(q[c]) * load(k + c);
    scores[j - first] = score * scale;
    largest = std::max(largest, score * scale);
  }
  double total = 0;
  std::fill_n(sums, head_dim, 0.0);
  for (std::int64_t j = first; j <= position; ++j) {
    const double weight = std::exp(scores[j - first] - largest);
    const Element* v = values + j % capacity * kv_width;
    total += weight;
    for (std::int64_t c = 0; c < head_dim; ++c) sums[c] += weight * load(v + c);
  }
  for (std::int64_t c = 0; c < head_dim; ++c) y[c] = static_cast<float>(sums[c] / total);
}

template <class Element>
void attend_all(const KernelArgs& args, const Scratch& scratch) {
  using namespace attention_operand;
  const auto params = args.params<AttentionParams>();
  const Shape& ring = args.shape(keys);
  const std::int64_t head_dim = scratch.head_dim;
  const std::int64_t q_width = params.n_heads * head_dim;
  const std::int64_t group = params.n_heads / params.n_kv_heads;
  const std::int64_t window = scratch.window;
  for (const SegmentWords& segment : args.segments()) {
    const Element* k = args.state<Element>(keys, segment, 0);
    const Element* v = args.state<Element>(values, segment, 0);
    const std::int64_t last = static_cast<std::int64_t>(segment.position) + segment.n_rows;
    args.pool.parallel_for(
        segment.n_rows * params.n_heads, 4 * std::min(window, last) * head_dim,
        [&](std::int64_t begin, std::int64_t end, int thread) {
          for (std::int64_t item = begin; item < end; ++item) {
            const std::int64_t i = item / params.n_heads;
            const std::int64_t head = item % params.n_heads;
            const std::int64_t column = head / group * head_dim;
            const std::int64_t at = (segment.first_row + i) * q_width + head * head_dim;
            attend(args.data(q) + at, k + column, v + column, segment.position + i, window, ring,
                   head_dim, scratch.scores + thread * window, scratch.sums + thread * head_dim,
                   args.data(y) + at);
          }
        });
  }
}

void run(const KernelArgs& args, const Scratch& scratch) {
  if (args.value(attention_operand::keys).dtype == DType::f16)
    attend_all<std::uint16_t>(args, scratch);
  else
    attend_all<float>(args, scratch);
}

}  // namespace

const CpuKernel attention_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
