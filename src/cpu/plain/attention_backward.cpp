// The gradients of attention. formulas/attention.h has the formula.
#include "ops/attention_backward.h"

#include <algorithm>

#include "core/half.h"
#include "cpu/plain/formulas/attention.h"
#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

using namespace attention_backward_operand;
using formulas::AttentionRow;

struct Scratch {
  std::int64_t head_dim;
  AttentionRow<float>::Softmax* softmax;  ///< [R, Hq]
  double* along;                          ///< [R, Hq]: dot(g_y, y)
  double* sums;                           ///< [n_threads, 2, head_dim]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : head_dim(node.shape(keys)[1] / node.params<AttentionParams>().n_kv_heads) {
    const std::int64_t n_heads = node.shape(q)[0] * node.params<AttentionParams>().n_heads;
    softmax = layout.take<AttentionRow<float>::Softmax>(n_heads);
    along = layout.take<double>(n_heads);
    sums = layout.take<double>(n_threads * 2 * head_dim);
  }
};

double load(const float* p) { return static_cast<double>(*p); }
double load(const std::uint16_t* p) { return static_cast<double>(f16_to_f32(*p)); }

/// One segment of the step.
template <class Element>
struct SegmentHeads {
  const KernelArgs& args;
  const SegmentWords& segment;
  const Scratch& scratch;
  AttentionParams params;

  /// Element c of a head of keys or values at position j.
  auto rows_of(int pages, std::int64_t kv_head) const {
    return [rows = args.pages(pages, segment), column = kv_head * scratch.head_dim,
            data = args.data<Element>(pages)](std::int64_t j, std::int64_t c) {
      return load(data + rows.at(j) + column + c);
    };
  }
  std::int64_t kv_head_of(std::int64_t head) const {
    return head / (params.n_heads / params.n_kv_heads);
  }
  /// Where head `head` of row i begins, in q and in its gradient.
  std::int64_t place(std::int64_t i, std::int64_t head) const {
    return ((segment.first_row + i) * params.n_heads + head) * scratch.head_dim;
  }
  AttentionRow<float> row(std::int64_t i, std::int64_t head) const {
    const std::int64_t position = std::int64_t{segment.position} + i;
    return {scratch.head_dim, params.first_key(position), position, args.data(q) + place(i, head)};
  }

  void queries() const;
  void keys_and_values() const;
};

/// Computes the gradients of the queries, and what the gradients of the keys need.
template <class Element>
void SegmentHeads<Element>::queries() const {
  const std::int64_t last = std::int64_t{segment.position} + segment.n_rows;
  args.pool.parallel_for(
      segment.n_rows * params.n_heads, 10 * params.most_keys(last) * scratch.head_dim,
      [&](std::int64_t begin, std::int64_t end, int thread) {
        for (std::int64_t item = begin; item < end; ++item) {
          const std::int64_t i = item / params.n_heads;
          const std::int64_t head = item % params.n_heads;
          const std::int64_t at = place(i, head);
          const std::int64_t index = at / scratch.head_dim;
          const AttentionRow<float> of = row(i, head);
          const auto key = rows_of(keys, kv_head_of(head));
          scratch.softmax[index] = of.softmax(key);
          scratch.along[index] = dot(args.data(g_y) + at, args.data(y) + at, scratch.head_dim);
          of.backward_q(scratch.softmax[index], key, rows_of(values, kv_head_of(head)),
                        args.data(g_y) + at, scratch.along[index],
                        scratch.sums + thread * 2 * scratch.head_dim, args.data(g_q) + at);
        }
      });
}

/// Computes the gradients of all keys and values that the rows of the segment attend to. The sums
/// are over rows in ascending order, then over heads.
template <class Element>
void SegmentHeads<Element>::keys_and_values() const {
  const GradientRange range(params, segment.position, segment.n_rows, segment.keeps_state != 0);
  const std::int64_t head_dim = scratch.head_dim;
  const std::int64_t group = params.n_heads / params.n_kv_heads;
  const PageRows key_rows = args.pages(g_keys, segment);
  const PageRows value_rows = args.pages(g_values, segment);
  args.pool.parallel_for(
      (range.end - range.first) * params.n_kv_heads, 12 * segment.n_rows * group * head_dim,
      [&](std::int64_t begin, std::int64_t end, int thread) {
        double* g_key = scratch.sums + thread * 2 * head_dim;
        double* g_value = g_key + head_dim;
        for (std::int64_t item = begin; item < end; ++item) {
          const std::int64_t j = range.first + item / params.n_kv_heads;
          const std::int64_t kv_head = item % params.n_kv_heads;
          std::fill_n(g_key, 2 * head_dim, 0.0);
          const auto key = rows_of(keys, kv_head);
          const auto value = rows_of(values, kv_head);
          for (std::int64_t i = std::max<std::int64_t>(0, j - segment.position); i < segment.n_rows;
               ++i)
            for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
              const AttentionRow<float> of = row(i, head);
              if (j < of.first) continue;
              const std::int64_t at = place(i, head);
              of.add_backward_kv(scratch.softmax[at / head_dim], key, value, j, args.data(g_y) + at,
                                 scratch.along[at / head_dim], g_key, g_value);
            }
          const auto store = [&](float* to, const double* sums) {
            for (std::int64_t c = 0; c < head_dim; ++c) {
              const double before = j < range.added ? 0 : static_cast<double>(to[c]);
              to[c] = static_cast<float>(before + sums[c]);
            }
          };
          store(args.data(g_keys) + key_rows.at(j) + kv_head * head_dim, g_key);
          store(args.data(g_values) + value_rows.at(j) + kv_head * head_dim, g_value);
        }
      });
}

template <class Element>
void run_all(const KernelArgs& args, const Scratch& scratch) {
  for (const SegmentWords& segment : args.segments()) {
    const SegmentHeads<Element> heads{args, segment, scratch, args.params<AttentionParams>()};
    heads.queries();
    heads.keys_and_values();
  }
}

void run(const KernelArgs& args, const Scratch& scratch) {
  if (args.value(keys).dtype == DType::f16)
    run_all<std::uint16_t>(args, scratch);
  else
    run_all<float>(args, scratch);
}

}  // namespace

const CpuKernel attention_backward_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
