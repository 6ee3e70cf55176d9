//   y[i, head] = sum_j softmax_j(q[i] . k[j] / sqrt(head_dim)) * v[j],  j <= i, i - j < window
#include "ops/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/fast/attention.cpp"
#include "cpu/fast/simd_targets.h"
// After it.
#include <hwy/foreach_target.h>
// After that.
#include <hwy/cache_control.h>

#include "cpu/fast/kernels.h"
#include "cpu/fast/vector_math-inl.h"

#ifndef BX_HEADS
#define BX_HEADS
namespace bitaxon::cpu {

/// Rows of one item share what they read of the keys and values.
inline constexpr int kItemRows = 4;
/// Heads of one item lie side by side in every key: together they are read as a stream.
inline constexpr int kItemHeads = 8;
/// Positions whose scores are held at a time. Blocks begin at multiples of it, so that a row's sum
/// does not depend on the rows beside it.
inline constexpr std::int64_t kKeys = 256;

/// Some heads of a few rows at consecutive positions.
struct Heads {
  const float* q;    ///< the first row's first head; rows d_model apart, y alike
  const void* keys;  ///< the first head's part of ring row 0
  const void* values;
  float* y;
  float* memory;          ///< [kItemHeads * kItemRows * (2 * padded head_dim + kKeys)]
  std::int64_t position;  ///< of the first row
  int n_rows, n_heads;
  std::int64_t window, capacity, d_model, head_dim;
  float scale;
};

}  // namespace bitaxon::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr std::int64_t kLanes = hn::MaxLanes(D());

HWY_INLINE V load_of(const float* from) { return hn::LoadU(D(), from); }
HWY_INLINE V load_of(const std::uint16_t* from) {
  const hn::Rebind<hwy::float16_t, D> half;
  return hn::PromoteTo(D(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(from)));
}
/// The first n lanes, then zeros; reads no more.
HWY_INLINE V load_n(const float* from, std::int64_t n) {
  alignas(64) float lanes[kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i] = from[i];
  return hn::Load(D(), lanes);
}
HWY_INLINE V load_n(const std::uint16_t* from, std::int64_t n) {
  alignas(64) std::uint16_t lanes[kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i] = from[i];
  return load_of(lanes);
}
template <class T>
HWY_INLINE V load_some(const T* from, std::int64_t n) {
  return n >= kLanes ? load_of(from) : load_n(from, n);
}

/// scores[i] = q_i . key, for kRows rows; q rows `padded` apart.
template <int kRows, class T>
HWY_INLINE void score(const float* q, std::int64_t padded, const T* key, std::int64_t head_dim,
                      float* scores) {
  V sums[kRows];
  for (int i = 0; i < kRows; ++i) sums[i] = hn::Zero(D());
  for (std::int64_t c = 0; c < head_dim; c += kLanes) {
    const V k = load_some(key + c, head_dim - c);
    for (int i = 0; i < kRows; ++i)
      sums[i] = hn::MulAdd(hn::Load(D(), q + i * padded + c), k, sums[i]);
  }
  for (int i = 0; i < kRows; ++i) scores[i * kKeys] = hn::GetLane(hn::SumOfLanes(D(), sums[i]));
}

/// out_i += weights[i] * value
template <int kRows, class T>
HWY_INLINE void accumulate(const float* weights, const T* value, std::int64_t head_dim,
                           std::int64_t padded, float* out) {
  for (std::int64_t c = 0; c < head_dim; c += kLanes) {
    const V v = load_some(value + c, head_dim - c);
    for (int i = 0; i < kRows; ++i) {
      float* to = out + i * padded + c;
      hn::Store(hn::MulAdd(hn::Set(D(), weights[i * kKeys]), v, hn::Load(D(), to)), D(), to);
    }
  }
}

/// Turns scores into weights: exp(score - largest). Returns their sum.
HWY_INLINE float weigh(float* scores, std::int64_t n, float largest) {
  V sum = hn::Zero(D());
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    const V w = exp_of(D(), hn::Sub(hn::LoadU(D(), scores + j), hn::Set(D(), largest)));
    hn::StoreU(w, D(), scores + j);
    sum = hn::Add(sum, w);
  }
  float total = hn::GetLane(hn::SumOfLanes(D(), sum));
  for (; j < n; ++j) {
    const hn::CappedTag<float, 1> d1;
    scores[j] = hn::GetLane(exp_of(d1, hn::Set(d1, scores[j] - largest)));
    total += scores[j];
  }
  return total;
}

/// Reads ahead what some heads have at a position.
template <class T>
HWY_INLINE void read_ahead(const Heads& heads, const T* base, std::int64_t position) {
  const T* from = base + position % heads.capacity * heads.d_model;
  const std::int64_t per_line = 64 / static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t c = 0; c < heads.n_heads * heads.head_dim; c += per_line)
    hwy::Prefetch(from + c);
}

template <class T>
void attend(const Heads& heads) {
  constexpr std::int64_t kAhead = 4;
  const std::int64_t head_dim = heads.head_dim;
  const std::int64_t padded = (head_dim + kLanes - 1) / kLanes * kLanes;
  const std::int64_t per_head = kItemRows * padded;
  float* q = heads.memory;                      // [heads, rows, padded]
  float* out = q + kItemHeads * per_head;       // the same
  float* scores = out + kItemHeads * per_head;  // [heads, rows, kKeys]
  const auto* keys = static_cast<const T*>(heads.keys);
  const auto* values = static_cast<const T*>(heads.values);
  float largest[kItemHeads * kItemRows];
  float total[kItemHeads * kItemRows];
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < heads.n_rows; ++i) {
      largest[h * kItemRows + i] = -std::numeric_limits<float>::infinity();
      total[h * kItemRows + i] = 0;
      const float* from = heads.q + i * heads.d_model + h * head_dim;
      for (std::int64_t c = 0; c < padded; ++c) {
        q[h * per_head + i * padded + c] = c < head_dim ? from[c] * heads.scale : 0.0F;
        out[h * per_head + i * padded + c] = 0;
      }
    }
  const auto first_of = [&](int i) HWY_ATTR {
    return std::max<std::int64_t>(0, heads.position + i - heads.window + 1);
  };
  const std::int64_t last = heads.position + heads.n_rows - 1;
  for (std::int64_t block = first_of(0) / kKeys * kKeys; block <= last; block += kKeys) {
    const std::int64_t begin = std::max(block, first_of(0));
    const std::int64_t end = std::min(block + kKeys, last + 1);
    // Calls one(head, row, position, place of the head there) for every row that sees a position,
    // or all(head, position, place) where all rows do.
    const auto each = [&](const T* base, auto&& one, auto&& all) HWY_ATTR {
      for (std::int64_t j = begin; j < end; ++j) {
        read_ahead(heads, base, std::min(j + kAhead, last));
        const T* at = base + j % heads.capacity * heads.d_model;
        const auto low = static_cast<int>(std::max<std::int64_t>(0, j - heads.position));
        int high = low;
        while (high < heads.n_rows && first_of(high) <= j) ++high;
        for (int h = 0; h < heads.n_heads; ++h) {
          if (high - low == kItemRows)
            all(h, j, at + h * head_dim);
          else
            for (int i = low; i < high; ++i) one(h, i, j, at + h * head_dim);
        }
      }
    };
    each(
        keys,
        [&](int h, int i, std::int64_t j, const T* key) HWY_ATTR {
          score<1>(q + h * per_head + i * padded, padded, key, head_dim,
                   scores + (h * kItemRows + i) * kKeys + j - block);
        },
        [&](int h, std::int64_t j, const T* key) HWY_ATTR {
          score<kItemRows>(q + h * per_head, padded, key, head_dim,
                           scores + h * kItemRows * kKeys + j - block);
        });
    for (int h = 0; h < heads.n_heads; ++h)
      for (int i = 0; i < heads.n_rows; ++i) {
        const std::int64_t from = std::max(begin, first_of(i));
        const std::int64_t to = std::min(end, heads.position + i + 1);
        if (from >= to) continue;
        float* row = scores + (h * kItemRows + i) * kKeys + from - block;
        float& most = largest[h * kItemRows + i];
        const float before = most;
        for (std::int64_t j = 0; j < to - from; ++j) most = row[j] > most ? row[j] : most;
        // The first block's factor is exp(-infinity), of a sum that is still zero. Where nothing
        // is larger than -infinity the scores are no numbers, and the weights show it.
        const float factor = before == most ? 1.0F : std::exp(before - most);
        float* sum = out + h * per_head + i * padded;
        for (std::int64_t c = 0; c < padded; c += kLanes)
          hn::Store(hn::Mul(hn::Load(D(), sum + c), hn::Set(D(), factor)), D(), sum + c);
        float& whole = total[h * kItemRows + i];
        whole = whole * factor + weigh(row, to - from, most);
      }
    each(
        values,
        [&](int h, int i, std::int64_t j, const T* value) HWY_ATTR {
          accumulate<1>(scores + (h * kItemRows + i) * kKeys + j - block, value, head_dim, padded,
                        out + h * per_head + i * padded);
        },
        [&](int h, std::int64_t j, const T* value) HWY_ATTR {
          accumulate<kItemRows>(scores + h * kItemRows * kKeys + j - block, value, head_dim, padded,
                                out + h * per_head);
        });
  }
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < heads.n_rows; ++i)
      for (std::int64_t c = 0; c < head_dim; ++c)
        heads.y[i * heads.d_model + h * head_dim + c] =
            out[h * per_head + i * padded + c] / total[h * kItemRows + i];
}

void attend_f32(const Heads& heads) { attend<float>(heads); }
void attend_f16(const Heads& heads) { attend<std::uint16_t>(heads); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(attend_f32);
HWY_EXPORT(attend_f16);

struct Scratch {
  ScratchLayout layout;
  std::int64_t per_thread;
  float* memory;  ///< [n_threads, per_thread]

  Scratch(std::byte* base, std::int64_t head_dim, int n_threads)
      : layout(base),
        per_thread(kItemHeads * kItemRows * (2 * ((head_dim + 15) / 16 * 16) + kKeys)),
        memory(layout.take<float>(n_threads * per_thread)) {}
};

void run(const KernelArgs& args) {
  using namespace attention_operand;
  const auto params = args.params<AttentionParams>();
  const Shape& ring = args.shape(keys);
  const std::int64_t d_model = ring[1];
  const std::int64_t n_heads = params.n_heads;
  const std::int64_t head_dim = d_model / n_heads;
  const bool half = args.view(keys).dtype == DType::f16;
  const std::size_t element = half ? 2 : 4;
  const Scratch scratch(args.scratch, head_dim, args.pool.n_threads());
  for (const SegmentWords& segment : args.segments()) {
    const auto* k = args.state<std::byte>(keys, segment, 0);
    const auto* v = args.state<std::byte>(values, segment, 0);
    const std::int64_t row_groups = (segment.n_rows + kItemRows - 1) / kItemRows;
    // As many heads side by side as leave every thread some items.
    const std::int64_t heads =
        std::clamp<std::int64_t>(row_groups * n_heads / (2 * args.pool.n_threads()), 1, kItemHeads);
    const std::int64_t head_groups = (n_heads + heads - 1) / heads;
    const std::int64_t last = static_cast<std::int64_t>(segment.position) + segment.n_rows;
    const auto attend_item = [&](std::int64_t item, int thread) {
      const std::int64_t i = item / head_groups * kItemRows;
      const std::int64_t first = item % head_groups * heads;
      const std::int64_t at = (segment.first_row + i) * d_model + first * head_dim;
      const auto offset = static_cast<std::size_t>(first * head_dim) * element;
      const Heads some{
          .q = args.data(q) + at,
          .keys = k + offset,
          .values = v + offset,
          .y = args.data(y) + at,
          .memory = scratch.memory + thread * scratch.per_thread,
          .position = segment.position + i,
          .n_rows = static_cast<int>(std::min<std::int64_t>(kItemRows, segment.n_rows - i)),
          .n_heads = static_cast<int>(std::min(heads, n_heads - first)),
          .window = std::min(params.window, ring[0]),
          .capacity = ring[0],
          .d_model = d_model,
          .head_dim = head_dim,
          .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))};
      if (half)
        HWY_DYNAMIC_DISPATCH(attend_f16)(some);
      else
        HWY_DYNAMIC_DISPATCH(attend_f32)(some);
    };
    args.pool.parallel_for(row_groups * head_groups,
                           heads * kItemRows * std::min(params.window, last) * head_dim,
                           [&](std::int64_t begin, std::int64_t end, int thread) {
                             for (std::int64_t item = begin; item < end; ++item)
                               attend_item(item, thread);
                           });
  }
}

std::size_t workspace(const Graph& graph, const Node& node, int n_threads) {
  const auto params = node.params_as<AttentionParams>();
  const Shape& ring = graph.value(node.operands[attention_operand::keys].value).shape;
  return Scratch(nullptr, ring[1] / params.n_heads, n_threads).layout.size_bytes();
}

}  // namespace

const CpuKernel fast_attention{run, workspace};

}  // namespace bitaxon::cpu
#endif
