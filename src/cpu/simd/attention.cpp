//   y[i, head] = sum_j softmax_j(q[i] . k[j] / sqrt(head_dim)) * v[j],  j <= i, i - j < window
#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/attention.cpp"
#include "cpu/simd/simd_targets.h"
// foreach_target.h must follow simd_targets.h, or all targets are compiled.
#include <hwy/foreach_target.h>
// Highway's other headers must follow foreach_target.h.
#include <hwy/cache_control.h>

#include "cpu/simd/kernels.h"
#include "cpu/simd/vector_math-inl.h"

#ifndef BX_HEADS
#define BX_HEADS
namespace bitaxon::cpu {

/// The rows of one work item share the keys and values that they load.
inline constexpr int kItemRows = 4;
/// Positions whose keys or values are processed together.
inline constexpr int kGroup = 4;
/// Positions of one block. Blocks begin at multiples of kKeys, and the sum of a row adds its blocks
/// in order. So the result does not depend on the other rows, or on which thread computes which
/// block.
inline constexpr std::int64_t kKeys = 256;

/// The partial results of some heads of a few rows. Per head and row: the sum of weighted values,
/// the largest score, which the weights are relative to, and the sum of weights.
struct Sums {
  float* values;   ///< [heads, kItemRows, padded]
  float* largest;  ///< [heads, kItemRows]
  float* totals;   ///< [heads, kItemRows]
};

/// Some heads of a few rows at consecutive positions. The heads are adjacent in every key. "Ring"
/// is the ring buffer of the KV cache.
struct Heads {
  const float* q;    ///< the first head of the first row; rows are d_model apart, as in y
  const void* keys;  ///< the first head in row 0 of the ring
  const void* values;
  float* y;
  float* scaled;          ///< scratch [heads, kItemRows, padded]: q / sqrt(head_dim)
  float* scores;          ///< scratch [heads, kItemRows, kKeys]
  std::int64_t position;  ///< of the first row
  int n_rows, n_heads;
  std::int64_t window, capacity, d_model, head_dim, padded;

  std::int64_t last() const { return position + n_rows - 1; }
  /// The first position that a row attends to.
  std::int64_t first_of(int row) const {
    return std::max<std::int64_t>(0, position + row - window + 1);
  }
};

}  // namespace bitaxon::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

#undef BX_SIMD
#define BX_SIMD HWY_INLINE
#include "cpu/simd/unrolled-inl.h"

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr std::int64_t kLanes = hn::MaxLanes(D());

HWY_INLINE V load_of(const float* from) { return hn::LoadU(D(), from); }
HWY_INLINE V load_of(const std::uint16_t* from) {
  const hn::Rebind<hwy::float16_t, D> half;
  return hn::PromoteTo(D(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(from)));
}
/// The first n lanes, then zeros. Reads no further than n elements.
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

/// Calls body(c, load) for each vector of a head, where c is its first column. load(from) never
/// reads beyond the head; only the load of the last vector checks how many elements remain.
template <class T, class Body>
HWY_INLINE void for_each_part(std::int64_t head_dim, const Body& body) {
  std::int64_t c = 0;
  for (; c + kLanes <= head_dim; c += kLanes)
    body(c, [](const T* from) HWY_ATTR { return load_of(from); });
  if (c < head_dim) body(c, [&](const T* from) HWY_ATTR { return load_n(from, head_dim - c); });
}

#if HWY_TARGET == HWY_SCALAR

/// to[k] = vectors[k], each of one lane.
HWY_INLINE void store_sums(const V (&vectors)[kGroup], float* to) {
  for (int k = 0; k < kGroup; ++k) to[k] = hn::GetLane(vectors[k]);
}

#else

/// The sum of all 128-bit blocks of a vector.
template <class DV>
HWY_INLINE auto sum_of_blocks(DV d, hn::Vec<DV> v) {
  if constexpr (hn::MaxLanes(d) <= 4) {
    return v;
  } else {
    const hn::Half<DV> half;
    return sum_of_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

/// to[k] = the sum of the lanes of vectors[k], in an order that does not depend on k.
HWY_INLINE void store_sums(const V (&vectors)[kGroup], float* to) {
  const D d;
  const hn::Repartition<double, D> pairs;
  const auto fold = [&](V v, V w) HWY_ATTR {
    return hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, v, w), hn::InterleaveUpper(d, v, w)));
  };
  const auto low = fold(vectors[0], vectors[1]);
  const auto high = fold(vectors[2], vectors[3]);
  // Every block of 128 bits holds a partial sum of each vector.
  const V parts = hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, low, high)),
                          hn::BitCast(d, hn::InterleaveUpper(pairs, low, high)));
  hn::StoreU(sum_of_blocks(d, parts), hn::CappedTag<float, 4>(), to);
}

#endif

/// scores[i][k] = q_i . key k. The kRows rows are `padded` apart; their scores are kKeys apart.
template <int kRows, class T>
void score_group(const float* q, std::int64_t padded, const T* const (&keys)[kGroup],
                 std::int64_t head_dim, float* scores) {
  V sums[kRows][kGroup];
  unrolled<kRows>([&](auto i) HWY_ATTR {
    unrolled<kGroup>([&](auto k) HWY_ATTR { sums[i][k] = hn::Zero(D()); });
  });
  const auto add = [&](std::int64_t c, auto load) HWY_ATTR {
    V key[kGroup];
    unrolled<kGroup>([&](auto k) HWY_ATTR { key[k] = load(keys[k] + c); });
    unrolled<kRows>([&](auto i) HWY_ATTR {
      const V x = hn::Load(D(), q + i * padded + c);
      unrolled<kGroup>([&](auto k) HWY_ATTR { sums[i][k] = hn::MulAdd(x, key[k], sums[i][k]); });
    });
  };
  for_each_part<T>(head_dim, add);
  unrolled<kRows>([&](auto i) HWY_ATTR { store_sums(sums[i], scores + i * kKeys); });
}

/// out_i += weights[i][k] * value k, one k after the other.
template <int kRows, class T>
void accumulate_group(const float* weights, const T* const (&values)[kGroup], std::int64_t head_dim,
                      std::int64_t padded, float* out) {
  const auto add = [&](std::int64_t c, auto load) HWY_ATTR {
    V value[kGroup];
    unrolled<kGroup>([&](auto k) HWY_ATTR { value[k] = load(values[k] + c); });
    unrolled<kRows>([&](auto i) HWY_ATTR {
      float* to = out + i * padded + c;
      V sum = hn::Load(D(), to);
      unrolled<kGroup>([&](auto k) HWY_ATTR {
        sum = hn::MulAdd(hn::Set(D(), weights[i * kKeys + k]), value[k], sum);
      });
      hn::Store(sum, D(), to);
    });
  };
  for_each_part<T>(head_dim, add);
}

/// One row and one key. The result is bitwise the same as in a group.
template <class T>
void score_one(const float* q, const T* key, std::int64_t head_dim, float* score) {
  V sums[kGroup] = {hn::Zero(D()), hn::Zero(D()), hn::Zero(D()), hn::Zero(D())};
  for (std::int64_t c = 0; c < head_dim; c += kLanes)
    sums[0] = hn::MulAdd(hn::Load(D(), q + c), load_some(key + c, head_dim - c), sums[0]);
  float scores[kGroup];
  store_sums(sums, scores);
  *score = scores[0];
}
template <class T>
void accumulate_one(float weight, const T* value, std::int64_t head_dim, float* out) {
  for (std::int64_t c = 0; c < head_dim; c += kLanes)
    hn::Store(hn::MulAdd(hn::Set(D(), weight), load_some(value + c, head_dim - c),
                         hn::Load(D(), out + c)),
              D(), out + c);
}

/// The largest score that is not NaN; -infinity if every score is NaN.
HWY_INLINE float largest_of(const float* scores, std::int64_t n) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  const auto larger = [](auto a, auto b) HWY_ATTR { return hn::IfThenElse(hn::Gt(a, b), a, b); };
  V most = hn::Set(D(), kNone);
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) most = larger(hn::LoadU(D(), scores + j), most);
  float largest = largest_lane(D(), most);
  for (; j < n; ++j) largest = std::max(largest, scores[j]);  // comparisons with NaN are false
  return largest;
}

/// Turns scores into weights exp(score - largest) and returns their sum.
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

/// Calls group(head, first position, pointers to the head at kGroup positions) where all rows
/// attend to all these positions. Elsewhere calls one(head, row, position, pointer) for every row
/// that attends to a position of the block.
template <class T, class Group, class One>
HWY_INLINE void for_each_key(const Heads& heads, const T* base, std::int64_t block,
                             const Group& group, const One& one) {
  const auto place = [&](std::int64_t j) { return base + j % heads.capacity * heads.d_model; };
  const std::int64_t end = std::min(block + kKeys, heads.last() + 1);
  std::int64_t j = std::max(block, heads.first_of(0));
  while (j < end) {
    if (j >= heads.first_of(heads.n_rows - 1) && j + kGroup <= heads.position + 1 &&
        j + kGroup <= end) {
      const T* at[kGroup] = {place(j), place(j + 1), place(j + 2), place(j + 3)};
      constexpr auto kLine = 64 / static_cast<std::int64_t>(sizeof(T));
      // The next group is contiguous over all heads, unless the ring wraps around in it.
      const bool follows = heads.n_heads * heads.head_dim == heads.d_model &&
                           (j + kGroup) % heads.capacity + kGroup <= heads.capacity;
      const std::int64_t ahead = follows ? kGroup * heads.head_dim : 0;
      const T* next = place(j + kGroup);
      for (int h = 0; h < heads.n_heads; ++h) {
        // Prefetches the next group in memory order, whatever the order of use. The target is the
        // second-level cache, which handles more misses at once.
        for (std::int64_t c = 0; c < ahead; c += kLine)
          __builtin_prefetch(next + h * ahead + c, 0, 2);
        group(h, j, at);
        for (const T*& head : at) head += heads.head_dim;
      }
      j += kGroup;
      continue;
    }
    const T* at = place(j);
    const auto low = static_cast<int>(std::max<std::int64_t>(0, j - heads.position));
    for (int h = 0; h < heads.n_heads; ++h, at += heads.head_dim)
      for (int i = low; i < heads.n_rows && heads.first_of(i) <= j; ++i) one(h, i, j, at);
    ++j;
  }
}

void begin(const Heads& heads) {
  const float scale = 1.0F / std::sqrt(static_cast<float>(heads.head_dim));
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < heads.n_rows; ++i) {
      const float* from = heads.q + i * heads.d_model + h * heads.head_dim;
      float* to = heads.scaled + (h * kItemRows + i) * heads.padded;
      for (std::int64_t c = 0; c < heads.padded; ++c)
        to[c] = c < heads.head_dim ? from[c] * scale : 0.0F;
    }
}

/// Computes the sums of one block for kRows rows.
template <int kRows, class T>
void attend_rows(const Heads& heads, std::int64_t block, const Sums& sums) {
  const std::int64_t padded = heads.padded;
  const auto row_of = [&](int h, int i) HWY_ATTR { return h * kItemRows + i; };
  for_each_key(
      heads, static_cast<const T*>(heads.keys), block,
      [&](int h, std::int64_t j, const T* const(&at)[kGroup]) HWY_ATTR {
        score_group<kRows>(heads.scaled + row_of(h, 0) * padded, padded, at, heads.head_dim,
                           heads.scores + row_of(h, 0) * kKeys + j - block);
      },
      [&](int h, int i, std::int64_t j, const T* key) HWY_ATTR {
        score_one(heads.scaled + row_of(h, i) * padded, key, heads.head_dim,
                  heads.scores + row_of(h, i) * kKeys + j - block);
      });
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < heads.n_rows; ++i) {
      const std::int64_t from = std::max(block, heads.first_of(i));
      const std::int64_t to = std::min(block + kKeys, heads.position + i + 1);
      std::fill_n(sums.values + row_of(h, i) * padded, padded, 0.0F);
      float* row = heads.scores + row_of(h, i) * kKeys + from - block;
      const float most = largest_of(row, to - from);
      sums.largest[row_of(h, i)] = most;
      // If no score is larger than -infinity, all are NaN or -infinity, and the weights become NaN.
      sums.totals[row_of(h, i)] = from < to ? weigh(row, to - from, most) : 0.0F;
    }
  for_each_key(
      heads, static_cast<const T*>(heads.values), block,
      [&](int h, std::int64_t j, const T* const(&at)[kGroup]) HWY_ATTR {
        accumulate_group<kRows>(heads.scores + row_of(h, 0) * kKeys + j - block, at, heads.head_dim,
                                padded, sums.values + row_of(h, 0) * padded);
      },
      [&](int h, int i, std::int64_t j, const T* value) HWY_ATTR {
        accumulate_one(heads.scores[row_of(h, i) * kKeys + j - block], value, heads.head_dim,
                       sums.values + row_of(h, i) * padded);
      });
}

template <class T>
void attend(const Heads& heads, std::int64_t block, const Sums& sums) {
  switch (heads.n_rows) {
    case 1:
      return attend_rows<1, T>(heads, block, sums);
    case 2:
      return attend_rows<2, T>(heads, block, sums);
    case 3:
      return attend_rows<3, T>(heads, block, sums);
    default:
      return attend_rows<kItemRows, T>(heads, block, sums);
  }
}

/// Adds the sums of the next block.
void merge(const Heads& heads, const Sums& next, const Sums& into) {
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < heads.n_rows; ++i) {
      const int row = h * kItemRows + i;
      if (next.totals[row] == 0) continue;  // the row attends to nothing in this block
      const float most = std::max(into.largest[row], next.largest[row]);
      // For the first block this is exp(-infinity) = 0, and the sums are still zero.
      const auto factor_of = [&](float largest) HWY_ATTR {
        return largest == most ? 1.0F : std::exp(largest - most);
      };
      const float before = factor_of(into.largest[row]);
      const float now = factor_of(next.largest[row]);
      into.largest[row] = most;
      into.totals[row] = into.totals[row] * before + next.totals[row] * now;
      float* to = into.values + row * heads.padded;
      const float* from = next.values + row * heads.padded;
      for (std::int64_t c = 0; c < heads.padded; c += kLanes)
        hn::Store(hn::MulAdd(hn::Load(D(), from + c), hn::Set(D(), now),
                             hn::Mul(hn::Load(D(), to + c), hn::Set(D(), before))),
                  D(), to + c);
    }
}

void attend_f32(const Heads& heads, std::int64_t block, const Sums& sums) {
  attend<float>(heads, block, sums);
}
void attend_f16(const Heads& heads, std::int64_t block, const Sums& sums) {
  attend<std::uint16_t>(heads, block, sums);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(begin);
HWY_EXPORT(attend_f32);
HWY_EXPORT(attend_f16);
HWY_EXPORT(merge);

struct Sizes {
  std::int64_t n_heads, head_dim, padded, most_blocks;

  std::int64_t rows() const { return n_heads * kItemRows; }
  /// Floats of one Sums, rounded up to whole cache lines.
  std::int64_t sums() const { return align_up(rows() * (padded + 2), 16); }

  Sizes(const AttentionParams& params, const Shape& ring)
      : n_heads(params.n_heads),
        head_dim(ring[1] / params.n_heads),
        padded(align_up(head_dim, 16)),
        most_blocks((std::min(params.window, ring[0]) + kItemRows) / kKeys + 2) {}
};

struct Scratch {
  Sizes sizes;
  std::int64_t per_thread;
  float* memory;  ///< [n_threads, per_thread]: scaled, scores, sums of a block, sums of all blocks
  float* blocks;  ///< [most_blocks, sums]: for blocks computed by different threads

  Scratch(ScratchLayout& layout, const NodeView& node, int n_threads)
      : sizes(node.params<AttentionParams>(), node.shape(attention_operand::keys)),
        per_thread(sizes.rows() * (sizes.padded + kKeys) + 2 * sizes.sums()),
        memory(layout.take<float>(n_threads * per_thread)),
        blocks(layout.take<float>(sizes.most_blocks * sizes.sums())) {}
};

Sums sums_at(float* memory, const Sizes& sizes) {
  float* largest = memory + sizes.rows() * sizes.padded;
  return {memory, largest, largest + sizes.rows()};
}

/// Sets the sums to those of no positions.
void clear(const Sums& sums, const Sizes& sizes) {
  std::fill_n(sums.values, sizes.rows() * sizes.padded, 0.0F);
  std::fill_n(sums.largest, sizes.rows(), -std::numeric_limits<float>::infinity());
  std::fill_n(sums.totals, sizes.rows(), 0.0F);
}

void divide(const Heads& heads, const Sums& sums) {
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < heads.n_rows; ++i)
      for (std::int64_t c = 0; c < heads.head_dim; ++c)
        heads.y[i * heads.d_model + h * heads.head_dim + c] =
            sums.values[(h * kItemRows + i) * heads.padded + c] / sums.totals[h * kItemRows + i];
}

/// Attention for the rows of one segment.
class Attention {
 public:
  Attention(const KernelArgs& args, const SegmentWords& segment, const Scratch& scratch)
      : args_(args),
        segment_(segment),
        ring_(args.shape(attention_operand::keys)),
        window_(std::min(args.params<AttentionParams>().window, ring_[0])),
        half_(args.value(attention_operand::keys).dtype == DType::f16),
        sizes_(scratch.sizes),
        scratch_(scratch) {}

  void run() {
    const std::int64_t n_groups = divide_up<std::int64_t>(segment_.n_rows, kItemRows);
    if (n_groups == 1)
      share_blocks();
    else
      share_rows(n_groups);
  }

 private:
  Heads heads_of(std::int64_t first_row, std::int64_t first_head, std::int64_t n_heads,
                 int thread) const {
    using namespace attention_operand;
    const std::int64_t d_model = ring_[1];
    const std::int64_t column = first_head * sizes_.head_dim;
    const std::int64_t at = (segment_.first_row + first_row) * d_model + column;
    const auto offset = static_cast<std::size_t>(column) * (half_ ? 2 : 4);
    float* memory = scratch_.memory + thread * scratch_.per_thread;
    return {
        .q = args_.data(q) + at,
        .keys = args_.state<std::byte>(keys, segment_, 0) + offset,
        .values = args_.state<std::byte>(values, segment_, 0) + offset,
        .y = args_.data(y) + at,
        .scaled = memory,
        .scores = memory + sizes_.rows() * sizes_.padded,
        .position = segment_.position + first_row,
        .n_rows = static_cast<int>(std::min<std::int64_t>(kItemRows, segment_.n_rows - first_row)),
        .n_heads = static_cast<int>(n_heads),
        .window = window_,
        .capacity = ring_[0],
        .d_model = d_model,
        .head_dim = sizes_.head_dim,
        .padded = sizes_.padded};
  }
  float* sums_of(int thread, int index) const {
    return scratch_.memory + thread * scratch_.per_thread +
           sizes_.rows() * (sizes_.padded + kKeys) + index * sizes_.sums();
  }
  void attend(const Heads& heads, std::int64_t block, const Sums& sums) const {
    if (half_)
      HWY_DYNAMIC_DISPATCH(attend_f16)(heads, block, sums);
    else
      HWY_DYNAMIC_DISPATCH(attend_f32)(heads, block, sums);
  }

  /// Few rows: a work item is a block of positions with all heads, which are contiguous in memory.
  void share_blocks() {
    const Heads all = heads_of(0, 0, sizes_.n_heads, 0);
    const std::int64_t first = all.first_of(0) / kKeys;
    const std::int64_t n_blocks = all.last() / kKeys - first + 1;
    args_.pool.parallel_for(n_blocks, 4 * kKeys * ring_[1],
                            [&](std::int64_t from, std::int64_t to, int thread) {
                              const Heads heads = heads_of(0, 0, sizes_.n_heads, thread);
                              HWY_DYNAMIC_DISPATCH(begin)(heads);
                              for (std::int64_t b = from; b < to; ++b)
                                attend(heads, (first + b) * kKeys, block_sums(b));
                            });
    const Sums whole = sums_at(sums_of(0, 0), sizes_);
    clear(whole, sizes_);
    for (std::int64_t b = 0; b < n_blocks; ++b)
      HWY_DYNAMIC_DISPATCH(merge)(all, block_sums(b), whole);
    divide(all, whole);
  }
  Sums block_sums(std::int64_t block) const {
    return sums_at(scratch_.blocks + block * sizes_.sums(), sizes_);
  }

  /// Many rows: a work item is a few rows of some heads.
  void share_rows(std::int64_t n_groups) {
    constexpr std::int64_t kItemHeads = 8;
    const std::int64_t heads_each = std::min(sizes_.n_heads, kItemHeads);
    const std::int64_t head_groups = divide_up(sizes_.n_heads, heads_each);
    const std::int64_t last = static_cast<std::int64_t>(segment_.position) + segment_.n_rows;
    args_.pool.parallel_for(
        n_groups * head_groups, heads_each * kItemRows * std::min(window_, last) * sizes_.head_dim,
        [&](std::int64_t from, std::int64_t to, int thread) {
          for (std::int64_t item = from; item < to; ++item) {
            const std::int64_t first_head = item % head_groups * heads_each;
            const Heads heads = heads_of(item / head_groups * kItemRows, first_head,
                                         std::min(heads_each, sizes_.n_heads - first_head), thread);
            const Sums block_sum = sums_at(sums_of(thread, 0), sizes_);
            const Sums whole = sums_at(sums_of(thread, 1), sizes_);
            HWY_DYNAMIC_DISPATCH(begin)(heads);
            clear(whole, sizes_);
            for (std::int64_t block = heads.first_of(0) / kKeys * kKeys; block <= heads.last();
                 block += kKeys) {
              attend(heads, block, block_sum);
              HWY_DYNAMIC_DISPATCH(merge)(heads, block_sum, whole);
            }
            divide(heads, whole);
          }
        });
  }

  const KernelArgs& args_;
  const SegmentWords& segment_;
  const Shape& ring_;
  std::int64_t window_;
  bool half_;
  const Sizes& sizes_;
  const Scratch& scratch_;
};

void run(const KernelArgs& args, const Scratch& scratch) {
  for (const SegmentWords& segment : args.segments()) Attention(args, segment, scratch).run();
}

}  // namespace

const CpuKernel simd_attention = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
