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
  std::int64_t head_dim;
  double* sums;  ///< [n_threads, head_dim]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : head_dim(node.shape(attention_operand::keys)[1] /
                 node.params<AttentionParams>().n_kv_heads),
        sums(layout.take<double>(n_threads * head_dim)) {}
};

double load(const float* p) { return static_cast<double>(*p); }
double load(const std::uint16_t* p) { return static_cast<double>(f16_to_f32(*p)); }

/// The keys and values that the heads of one segment read.
template <class Element>
struct Cache {
  PageRows key_rows, value_rows;
  const Element* keys;
  const Element* values;
};

/// Computes one head of one row. `column` is the first column of its keys and values.
template <class Element>
void attend(const float* q, const Cache<Element>& cache, std::int64_t column, std::int64_t first,
            std::int64_t position, std::int64_t head_dim, double* sums, float* y) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
  // Every score is computed twice, because without a window there is no bound on their number.
  const auto score_of = [&](std::int64_t j) {
    const Element* k = cache.keys + cache.key_rows.at(j) + column;
    double score = 0;
    for (std::int64_t c = 0; c < head_dim; ++c) score += static_cast<double>(q[c]) * load(k + c);
    return score * scale;
  };
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t j = first; j <= position; ++j) largest = std::max(largest, score_of(j));
  double total = 0;
  std::fill_n(sums, head_dim, 0.0);
  for (std::int64_t j = first; j <= position; ++j) {
    const double weight = std::exp(score_of(j) - largest);
    const Element* v = cache.values + cache.value_rows.at(j) + column;
    total += weight;
    for (std::int64_t c = 0; c < head_dim; ++c) sums[c] += weight * load(v + c);
  }
  for (std::int64_t c = 0; c < head_dim; ++c) y[c] = static_cast<float>(sums[c] / total);
}

template <class Element>
void attend_all(const KernelArgs& args, const Scratch& scratch) {
  using namespace attention_operand;
  const auto params = args.params<AttentionParams>();
  const std::int64_t head_dim = scratch.head_dim;
  const std::int64_t q_width = params.n_heads * head_dim;
  const std::int64_t group = params.n_heads / params.n_kv_heads;
  for (const SegmentWords& segment : args.segments()) {
    const Cache<Element> cache{args.pages(keys, segment), args.pages(values, segment),
                               args.data<Element>(keys), args.data<Element>(values)};
    const std::int64_t last = static_cast<std::int64_t>(segment.position) + segment.n_rows;
    args.pool.parallel_for(
        segment.n_rows * params.n_heads, 4 * params.most_keys(last) * head_dim,
        [&](std::int64_t begin, std::int64_t end, int thread) {
          for (std::int64_t item = begin; item < end; ++item) {
            const std::int64_t i = item / params.n_heads;
            const std::int64_t head = item % params.n_heads;
            const std::int64_t at = (segment.first_row + i) * q_width + head * head_dim;
            const std::int64_t position = segment.position + i;
            attend(args.data(q) + at, cache, head / group * head_dim, params.first_key(position),
                   position, head_dim, scratch.sums + thread * head_dim, args.data(y) + at);
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
