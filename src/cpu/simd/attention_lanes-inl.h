// Computes attention of some heads of a few rows to one block of positions, and merges the results
// of blocks. Only files that Highway compiles once per target include this header.
#if defined(BITAXON_ATTENTION_LANES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef BITAXON_ATTENTION_LANES_INL
#undef BITAXON_ATTENTION_LANES_INL
#else
#define BITAXON_ATTENTION_LANES_INL
#endif

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "cpu/simd/attention_heads.h"
#include "cpu/simd/vector_math-inl.h"

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
/// Loads n elements into the first n lanes. The other lanes are zero. Does not read beyond the n
/// elements.
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

/// Calls body(c, load) for each vector of a head. c is the first column of the vector, and
/// load(from) loads a vector. The last vector may be partly filled: its load() reads only the
/// elements that remain in the head.
template <class T, class Body>
HWY_INLINE void for_each_part(std::int64_t head_dim, const Body& body) {
  std::int64_t c = 0;
  for (; c + kLanes <= head_dim; c += kLanes)
    body(c, [](const T* from) HWY_ATTR { return load_of(from); });
  if (c < head_dim) body(c, [&](const T* from) HWY_ATTR { return load_n(from, head_dim - c); });
}

#if HWY_TARGET == HWY_SCALAR

/// For vectors of one lane: to[k] = the lane of vectors[k].
HWY_INLINE void store_sums(const V (&vectors)[kGroup], float* to) {
  for (int k = 0; k < kGroup; ++k) to[k] = hn::GetLane(vectors[k]);
}

#else

/// The sum of all 128-bit blocks of a vector, as the first four lanes of the result.
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
  // Every block of 128 bits in `parts` holds one partial sum for each of the four vectors.
  const V parts = hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, low, high)),
                          hn::BitCast(d, hn::InterleaveUpper(pairs, low, high)));
  hn::StoreU(sum_of_blocks(d, parts), hn::CappedTag<float, 4>(), to);
}

#endif

/// scores[i][k] = q[i] . key k, for kRows rows i and the kGroup keys k. Rows of q are `padded`
/// elements apart; rows of scores are kKeys elements apart.
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

/// out[i] += weights[i][k] * value k, for kRows rows i. The values k are added in order.
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

/// Computes the score of one row and one key. The result has the same bits as in score_group().
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
  for (; j < n; ++j) largest = std::max(largest, scores[j]);  // ignores NaN
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

/// Visits the positions of a block. A group is kGroup consecutive positions to which all rows
/// attend. For each group, calls group(head, first position, pointers to the head at the kGroup
/// positions). For each position outside a group, calls one(head, first query, end of the queries,
/// position, pointer) for the queries that attend to the position.
template <class T, class Group, class One>
HWY_INLINE void for_each_key(const Heads& heads, const T* base, const PageRows& rows,
                             std::int64_t block, const Group& group, const One& one) {
  const std::int64_t end = std::min(block + kKeys, heads.last() + 1);
  std::int64_t j = std::max(block, heads.first_of(0));
  while (j < end) {
    if (j >= heads.first_of(heads.n_rows - 1) && j + kGroup <= heads.position + 1 &&
        j + kGroup <= end) {
      const T* at[kGroup];
      for (int k = 0; k < kGroup; ++k) at[k] = base + rows.at(j + k);
      constexpr auto kLine = 64 / static_cast<std::int64_t>(sizeof(T));
      // The next group is contiguous in memory if `heads` holds all heads and the group is in one
      // page.
      const std::int64_t after = j + kGroup;
      const bool follows = heads.n_heads * heads.head_dim == rows.width &&
                           after % kPageRows + kGroup <= kPageRows && after < end;
      const std::int64_t ahead = follows ? kGroup * heads.head_dim : 0;
      const T* next = follows ? base + rows.at(after) : base;
      for (int h = 0; h < heads.n_heads; ++h) {
        // Prefetches the next group in the order of memory, which may differ from the order of use.
        // The prefetch goes to the second-level cache, which handles more misses at once.
        for (std::int64_t c = 0; c < ahead; c += kLine)
          __builtin_prefetch(next + h * ahead + c, 0, 2);
        group(h, j, at);
        for (const T*& head : at) head += heads.head_dim;
      }
      j += kGroup;
      continue;
    }
    const T* at = base + rows.at(j);
    const auto low = static_cast<int>(std::max<std::int64_t>(0, j - heads.position));
    int high = low;
    while (high < heads.n_rows && heads.first_of(high) <= j) ++high;
    for (int h = 0; h < heads.n_heads; ++h, at += heads.head_dim)
      one(h, low * heads.n_shared, high * heads.n_shared, j, at);
    ++j;
  }
}

void begin(const Heads& heads) {
  const float scale = 1.0F / std::sqrt(static_cast<float>(heads.head_dim));
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < heads.n_queries(); ++i) {
      const float* from = heads.q + heads.offset(h, i);
      float* to = heads.scaled + heads.place(h, i) * heads.padded;
      for (std::int64_t c = 0; c < heads.padded; ++c)
        to[c] = c < heads.head_dim ? from[c] * scale : 0.0F;
    }
}

/// Calls body(first query, constant number of queries) for pieces of the queries of a head. kCount
/// is their number if it is known when the program is compiled, else 0.
template <int kCount, class Body>
HWY_INLINE void for_each_piece(int n_queries, const Body& body) {
  if constexpr (kCount > 0) {
    body(0, std::integral_constant<int, kCount>());
  } else {
    int first = 0;
    for (; first + kQueries <= n_queries; first += kQueries)
      body(first, std::integral_constant<int, kQueries>());
    switch (n_queries - first) {
      case 1:
        return body(first, std::integral_constant<int, 1>());
      case 2:
        return body(first, std::integral_constant<int, 2>());
      case 3:
        return body(first, std::integral_constant<int, 3>());
      default:
        return;
    }
  }
}

/// Computes attention of all queries to one block of positions and stores the results in `sums`.
template <int kCount, class T>
void attend_queries(const Heads& heads, std::int64_t block, const Sums& sums) {
  const std::int64_t padded = heads.padded;
  const int n_queries = heads.n_queries();
  for_each_key(
      heads, static_cast<const T*>(heads.keys), heads.key_rows, block,
      [&](int h, std::int64_t j, const T* const(&at)[kGroup]) HWY_ATTR {
        for_each_piece<kCount>(n_queries, [&](int first, auto count) HWY_ATTR {
          const std::int64_t place = heads.place(h, first);
          score_group<count>(heads.scaled + place * padded, padded, at, heads.head_dim,
                             heads.scores + place * kKeys + j - block);
        });
      },
      [&](int h, int low, int high, std::int64_t j, const T* key) HWY_ATTR {
        for (int i = low; i < high; ++i) {
          const std::int64_t place = heads.place(h, i);
          score_one(heads.scaled + place * padded, key, heads.head_dim,
                    heads.scores + place * kKeys + j - block);
        }
      });
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < n_queries; ++i) {
      const std::int64_t place = heads.place(h, i);
      const int row = i / heads.n_shared;
      const std::int64_t from = std::max(block, heads.first_of(row));
      const std::int64_t to = std::min(block + kKeys, heads.position + row + 1);
      std::fill_n(sums.values + place * padded, padded, 0.0F);
      float* scores = heads.scores + place * kKeys + from - block;
      const float most = largest_of(scores, to - from);
      sums.largest[place] = most;
      // If the largest score is -infinity, every score is NaN or -infinity, and the weights become
      // NaN.
      sums.totals[place] = from < to ? weigh(scores, to - from, most) : 0.0F;
    }
  for_each_key(
      heads, static_cast<const T*>(heads.values), heads.value_rows, block,
      [&](int h, std::int64_t j, const T* const(&at)[kGroup]) HWY_ATTR {
        for_each_piece<kCount>(n_queries, [&](int first, auto count) HWY_ATTR {
          const std::int64_t place = heads.place(h, first);
          accumulate_group<count>(heads.scores + place * kKeys + j - block, at, heads.head_dim,
                                  padded, sums.values + place * padded);
        });
      },
      [&](int h, int low, int high, std::int64_t j, const T* value) HWY_ATTR {
        for (int i = low; i < high; ++i) {
          const std::int64_t place = heads.place(h, i);
          accumulate_one(heads.scores[place * kKeys + j - block], value, heads.head_dim,
                         sums.values + place * padded);
        }
      });
}

template <class T>
void attend(const Heads& heads, std::int64_t block, const Sums& sums) {
  switch (heads.n_queries()) {
    case 1:
      return attend_queries<1, T>(heads, block, sums);
    case 2:
      return attend_queries<2, T>(heads, block, sums);
    case 3:
      return attend_queries<3, T>(heads, block, sums);
    case kQueries:
      return attend_queries<kQueries, T>(heads, block, sums);
    default:
      return attend_queries<0, T>(heads, block, sums);
  }
}

/// Merges the results of the next block, `next`, into the results of the earlier blocks, `into`.
void merge(const Heads& heads, const Sums& next, const Sums& into) {
  for (int h = 0; h < heads.n_heads; ++h)
    for (int i = 0; i < heads.n_queries(); ++i) {
      const std::int64_t row = heads.place(h, i);
      if (next.totals[row] == 0) continue;  // the row attends to no position of this block
      const float most = std::max(into.largest[row], next.largest[row]);
      // For the first block, the sums of `into` are zero, and their factor is exp(-infinity) = 0.
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

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#endif
