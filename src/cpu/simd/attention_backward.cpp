// The gradients of attention. src/cpu/plain/formulas/attention.h has the formula. A work item is a
// head of keys of one segment. It goes over blocks of keys twice: first for the sums of the softmax,
// then for the gradients.
#include "ops/attention_backward.h"

#include <algorithm>
#include <cmath>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/attention_backward.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "core/half.h"
#include "cpu/simd/attention_back.h"
#include "cpu/simd/kernels.h"
#include "cpu/simd/rows.h"
#include "cpu/simd/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

#undef BX_SIMD
#define BX_SIMD HWY_INLINE
#include "cpu/simd/unrolled-inl.h"

using Tag = hn::CappedTag<float, 16>;
constexpr Tag kTag;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(kTag));
constexpr int kVectors = static_cast<int>(kBackKeys) / kLanes;  // of a row of kBackKeys numbers
constexpr float kNoScore = -3.0e38F;

/// out[j] = sum_c x[c] * turned[c][j]
void multiply_row(const float* x, const float* turned, std::int64_t padded, float* out) {
  using V = hn::Vec<Tag>;
  V sums[kVectors];
  unrolled<kVectors>([&](auto v) HWY_ATTR { sums[v] = hn::Zero(kTag); });
  for (std::int64_t c = 0; c < padded; ++c) {
    const V factor = hn::Set(kTag, x[c]);
    unrolled<kVectors>([&](auto v) HWY_ATTR {
      sums[v] = hn::MulAdd(factor, hn::LoadU(kTag, turned + c * kBackKeys + v * kLanes), sums[v]);
    });
  }
  unrolled<kVectors>([&](auto v) HWY_ATTR { hn::StoreU(sums[v], kTag, out + v * kLanes); });
}

/// out[c] += sum_i factors[i * stride] * rows[i][c] for n vectors of columns, from column c on.
template <int kCount>
void add_columns(const float* factors, std::int64_t stride, std::int64_t n, const float* rows,
                 std::int64_t padded, float* out) {
  using V = hn::Vec<Tag>;
  V sums[kCount];
  unrolled<kCount>([&](auto v) HWY_ATTR { sums[v] = hn::LoadU(kTag, out + v * kLanes); });
  for (std::int64_t i = 0; i < n; ++i) {
    const V factor = hn::Set(kTag, factors[i * stride]);
    unrolled<kCount>([&](auto v) HWY_ATTR {
      sums[v] = hn::MulAdd(factor, hn::LoadU(kTag, rows + i * padded + v * kLanes), sums[v]);
    });
  }
  unrolled<kCount>([&](auto v) HWY_ATTR { hn::StoreU(sums[v], kTag, out + v * kLanes); });
}

/// out[c] += sum_i factors[i * stride] * rows[i][c]
void add_rows(const float* factors, std::int64_t stride, std::int64_t n, const float* rows,
              std::int64_t padded, float* out) {
  constexpr int kWide = 8;
  std::int64_t c = 0;
  for (; c + kWide * kLanes <= padded; c += kWide * kLanes)
    add_columns<kWide>(factors, stride, n, rows + c, padded, out + c);
  for (; c < padded; c += kLanes) add_columns<1>(factors, stride, n, rows + c, padded, out + c);
}

/// Adds the scores of a block of keys to the sums of the softmax.
void add_to_softmax(const BackHead& head, const BackRange& range) {
  using V = hn::Vec<Tag>;
  alignas(64) float scores[kBackKeys];
  const V scale = hn::Set(kTag, head.scale);
  for (std::int64_t i = range.first; i < range.end; ++i) {
    multiply_row(head.q + i * head.padded, head.turned_keys, head.padded, scores);
    for (int v = 0; v < kVectors; ++v)
      hn::Store(hn::Mul(hn::Load(kTag, scores + v * kLanes), scale), kTag, scores + v * kLanes);
    std::fill(scores, scores + range.begin_key[i], kNoScore);
    std::fill(scores + range.end_key[i], scores + kBackKeys, kNoScore);
    const float before = head.largest[i];
    const float largest = std::max(before, *std::max_element(scores, scores + kBackKeys));
    V sum = hn::Zero(kTag);
    for (int v = 0; v < kVectors; ++v)
      sum = hn::Add(
          sum, exp_of(kTag, hn::Sub(hn::Load(kTag, scores + v * kLanes), hn::Set(kTag, largest))));
    alignas(64) float parts[kLanes];
    hn::Store(sum, kTag, parts);
    float total = head.total[i] * std::exp(before - largest);
    for (const float part : parts) total += part;
    head.largest[i] = largest;
    head.total[i] = total;
  }
}

/// Computes P and dS of a block, and adds its part to all gradients.
void add_gradients(const BackHead& head, const BackRange& range) {
  using V = hn::Vec<Tag>;
  const V scale = hn::Set(kTag, head.scale);
  for (std::int64_t i = range.first; i < range.end; ++i) {
    float* weights = head.weights + i * kBackKeys;
    float* gradients = head.score_gradients + i * kBackKeys;
    multiply_row(head.q + i * head.padded, head.turned_keys, head.padded, weights);
    multiply_row(head.g_y + i * head.padded, head.turned_values, head.padded, gradients);
    const V largest = hn::Set(kTag, head.largest[i]);
    const V inverse = hn::Set(kTag, 1 / head.total[i]);
    const V along = hn::Set(kTag, head.along[i]);
    for (int v = 0; v < kVectors; ++v) {
      const V score = hn::Mul(hn::LoadU(kTag, weights + v * kLanes), scale);
      const V weight = hn::Mul(exp_of(kTag, hn::Sub(score, largest)), inverse);
      const V g = hn::Sub(hn::LoadU(kTag, gradients + v * kLanes), along);
      hn::StoreU(weight, kTag, weights + v * kLanes);
      hn::StoreU(hn::Mul(hn::Mul(weight, g), scale), kTag, gradients + v * kLanes);
    }
    for (float* row : {weights, gradients}) {
      std::fill(row, row + range.begin_key[i], 0.0F);
      std::fill(row + range.end_key[i], row + kBackKeys, 0.0F);
    }
    add_rows(gradients, 1, kBackKeys, head.keys, head.padded, head.g_q + i * head.padded);
  }
  const std::int64_t n = range.end - range.first;
  const std::int64_t at = range.first * kBackKeys;
  for (std::int64_t j = 0; j < kBackKeys; ++j) {
    add_rows(head.score_gradients + at + j, kBackKeys, n, head.q + range.first * head.padded,
             head.padded, head.g_keys + j * head.padded);
    add_rows(head.weights + at + j, kBackKeys, n, head.g_y + range.first * head.padded, head.padded,
             head.g_values + j * head.padded);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(add_to_softmax);
HWY_EXPORT(add_gradients);

using namespace attention_backward_operand;

struct Scratch {
  AttentionParams params;
  std::int64_t head_dim, padded, queries, per_thread;
  float* memory;             ///< [n_threads, per_thread]
  std::int32_t* key_ranges;  ///< [n_threads, 2, queries]

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : params(node.params<AttentionParams>()),
        head_dim(node.shape(keys)[1] / params.n_kv_heads),
        padded(align_up<std::int64_t>(head_dim, 16)),
        queries(node.shape(q)[0] * params.n_heads / params.n_kv_heads),
        per_thread(queries * (3 * padded + 3 + 2 * kBackKeys) + 6 * kBackKeys * padded),
        memory(layout.take<float>(n_threads * per_thread)),
        key_ranges(layout.take<std::int32_t>(n_threads * 2 * queries)) {}

  BackHead head(int thread) const {
    float* next = memory + thread * per_thread;
    const auto take = [&](std::int64_t n) {
      float* block = next;
      next += n;
      return block;
    };
    BackHead made;
    made.padded = padded;
    made.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
    for (float* BackHead::*rows : {&BackHead::q, &BackHead::g_y, &BackHead::g_q})
      made.*rows = take(queries * padded);
    for (float* BackHead::*block :
         {&BackHead::keys, &BackHead::values, &BackHead::turned_keys, &BackHead::turned_values,
          &BackHead::g_keys, &BackHead::g_values})
      made.*block = take(kBackKeys * padded);
    made.weights = take(queries * kBackKeys);
    made.score_gradients = take(queries * kBackKeys);
    for (float* BackHead::*numbers : {&BackHead::along, &BackHead::largest, &BackHead::total})
      made.*numbers = take(queries);
    return made;
  }
};

/// One head of keys of one segment.
class Item {
 public:
  Item(const KernelArgs& args, const Scratch& scratch, const SegmentWords& segment,
       std::int64_t kv_head, int thread)
      : args_(args),
        scratch_(scratch),
        segment_(segment),
        kv_head_(kv_head),
        group_(scratch.params.n_heads / scratch.params.n_kv_heads),
        range_(scratch.params, segment.position, segment.n_rows, segment.keeps_state != 0),
        head_(scratch.head(thread)),
        begin_keys_(scratch.key_ranges + thread * 2 * scratch.queries),
        end_keys_(begin_keys_ + scratch.queries) {
    head_.n_queries = segment.n_rows * group_;
  }

  void run() {
    load_queries();
    const std::int64_t first = range_.first / kBackKeys * kBackKeys;
    for (std::int64_t block = first; block < range_.end; block += kBackKeys) {
      load_block(keys, block, head_.keys, head_.turned_keys);
      HWY_DYNAMIC_DISPATCH(add_to_softmax)(head_, queries_of(block));
    }
    for (std::int64_t block = first; block < range_.end; block += kBackKeys) {
      load_block(keys, block, head_.keys, head_.turned_keys);
      load_block(values, block, head_.values, head_.turned_values);
      std::fill_n(head_.g_keys, kBackKeys * head_.padded, 0.0F);
      std::fill_n(head_.g_values, kBackKeys * head_.padded, 0.0F);
      HWY_DYNAMIC_DISPATCH(add_gradients)(head_, queries_of(block));
      store_block(g_keys, block, head_.g_keys);
      store_block(g_values, block, head_.g_values);
    }
    for (std::int64_t i = 0; i < head_.n_queries; ++i)
      std::copy_n(head_.g_q + i * head_.padded, scratch_.head_dim, args_.data(g_q) + place(i));
  }

 private:
  /// Where query i begins, in q and in its gradient.
  std::int64_t place(std::int64_t i) const {
    return ((segment_.first_row + i / group_) * scratch_.params.n_heads + kv_head_ * group_ +
            i % group_) *
           scratch_.head_dim;
  }

  void load_queries() {
    const std::int64_t d = scratch_.head_dim;
    std::fill_n(head_.g_q, head_.n_queries * head_.padded, 0.0F);
    std::fill_n(head_.largest, head_.n_queries, -3.0e38F);
    std::fill_n(head_.total, head_.n_queries, 0.0F);
    for (std::int64_t i = 0; i < head_.n_queries; ++i) {
      for (const auto& [from, to] : {std::pair(q, head_.q), std::pair(g_y, head_.g_y)}) {
        float* row = to + i * head_.padded;
        std::copy_n(args_.data(from) + place(i), d, row);
        std::fill(row + d, row + head_.padded, 0.0F);
      }
      head_.along[i] = simd_dot(args_.data(g_y) + place(i), args_.data(y) + place(i), d);
    }
  }

  /// Loads a block of keys or values, also with rows and columns exchanged. Positions that no row
  /// attends to become zeros.
  void load_block(int pages, std::int64_t block, float* rows, float* turned) const {
    const PageRows places = args_.pages(pages, segment_);
    const std::int64_t d = scratch_.head_dim;
    const bool half = args_.value(pages).dtype == DType::f16;
    for (std::int64_t j = 0; j < kBackKeys; ++j) {
      float* row = rows + j * head_.padded;
      std::fill_n(row, head_.padded, 0.0F);
      if (block + j < range_.first || block + j >= range_.end) continue;
      const std::int64_t at = places.at(block + j) + kv_head_ * d;
      if (half)
        for (std::int64_t c = 0; c < d; ++c)
          row[c] = f16_to_f32(args_.data<std::uint16_t>(pages)[at + c]);
      else
        std::copy_n(args_.data(pages) + at, d, row);
    }
    for (std::int64_t j = 0; j < kBackKeys; ++j)
      for (std::int64_t c = 0; c < head_.padded; ++c)
        turned[c * kBackKeys + j] = rows[j * head_.padded + c];
  }

  /// Finds the queries that attend to a block.
  BackRange queries_of(std::int64_t block) const {
    std::int64_t first = head_.n_queries;
    std::int64_t end = 0;
    for (std::int64_t row = 0; row < segment_.n_rows; ++row) {
      const std::int64_t position = segment_.position + row;
      const std::int64_t from =
          std::clamp<std::int64_t>(scratch_.params.first_key(position) - block, 0, kBackKeys);
      const std::int64_t to = std::clamp<std::int64_t>(position + 1 - block, 0, kBackKeys);
      if (from >= to) continue;
      first = std::min(first, row * group_);
      end = (row + 1) * group_;
      for (std::int64_t i = row * group_; i < end; ++i) {
        begin_keys_[i] = static_cast<std::int32_t>(from);
        end_keys_[i] = static_cast<std::int32_t>(to);
      }
    }
    return {std::min(first, end), end, begin_keys_, end_keys_};
  }

  /// Writes the gradients of a block, or adds them to those of later steps.
  void store_block(int pages, std::int64_t block, const float* sums) const {
    const PageRows places = args_.pages(pages, segment_);
    const std::int64_t d = scratch_.head_dim;
    const std::int64_t end = std::min(block + kBackKeys, range_.end);
    for (std::int64_t j = std::max(block, range_.first); j < end; ++j) {
      float* to = args_.data(pages) + places.at(j) + kv_head_ * d;
      const float* from = sums + (j - block) * head_.padded;
      for (std::int64_t c = 0; c < d; ++c) to[c] = j < range_.added ? from[c] : to[c] + from[c];
    }
  }

  const KernelArgs& args_;
  const Scratch& scratch_;
  const SegmentWords& segment_;
  std::int64_t kv_head_, group_;
  GradientRange range_;
  BackHead head_;
  std::int32_t* begin_keys_;  ///< [queries]: see BackRange
  std::int32_t* end_keys_;
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t n_heads = scratch.params.n_kv_heads;
  args.pool.parallel_for(static_cast<std::int64_t>(args.segments().size()) * n_heads,
                         10 * args.n_rows() * args.n_rows() * scratch.head_dim,
                         [&](std::int64_t begin, std::int64_t end, int thread) {
                           for (std::int64_t item = begin; item < end; ++item)
                             Item(args, scratch,
                                  args.segments()[static_cast<std::size_t>(item / n_heads)],
                                  item % n_heads, thread)
                                 .run();
                         });
}

}  // namespace

const CpuKernel simd_attention_backward = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
