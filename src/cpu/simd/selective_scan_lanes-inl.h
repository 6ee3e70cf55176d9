// Scans some channels. Each lane of a vector is a channel. Only files that Highway compiles once
// per target include this header.
#if defined(BITAXON_SELECTIVE_SCAN_LANES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef BITAXON_SELECTIVE_SCAN_LANES_INL
#undef BITAXON_SELECTIVE_SCAN_LANES_INL
#else
#define BITAXON_SELECTIVE_SCAN_LANES_INL
#endif

#include <hwy/cache_control.h>

#include <algorithm>

#include "cpu/simd/selective_scan_channels.h"
#include "cpu/simd/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

#undef BX_SIMD
#define BX_SIMD HWY_INLINE
#include "cpu/simd/unrolled-inl.h"

/// The time steps of the channels at `e` in row `row`. NaN stays NaN.
template <bool kShort, class D>
HWY_INLINE hn::Vec<D> dt_of(D d, const Channels& c, std::int64_t e, std::int64_t row) {
  const auto bias = hn::LoadU(d, c.dt_bias + e);
  const auto raw = c.dt != nullptr ? hn::Add(hn::LoadU(d, c.dt + row * c.d_inner + e), bias)
                                   : hn::MulAdd(hn::Set(d, c.rates[row * c.rate_stride]),
                                                hn::LoadU(d, c.dt_weight + e), bias);
  return at_most(d, c.dt_max, at_least(d, c.dt_min, softplus_of<kShort>(d, raw)));
}

/// The next value of a state. The state decays by the factor 2^power, where `power` = dt * decay.
/// If the factor is nearly 1, the function computes the change of the state and adds it, with one
/// rounding. Multiplying by the rounded factor would be wrong: for a slow decay, the factor would
/// round to the same number next to 1 in every row, so the error would add up.
template <bool kShort, class D, class V>
HWY_INLINE V next_of(D d, V state, V power, V input, float b) {
  const Exp2Parts<V> parts = exp2_parts(d, power);
  const V kept = hn::Mul(parts.power, state);
  const V gain = hn::Mul(input, hn::Set(d, b));
  return hn::Add(kept, hn::MulAdd(kept, exp2_of_rest<kShort>(d, parts.rest), gain));
}

/// The product dt * decay, but at least kVanishing. NaN stays NaN.
template <class D, class V>
HWY_INLINE V bounded_power(D d, V dt, V decay) {
  return at_least(d, kVanishing, hn::Mul(dt, decay));
}

/// The values of one row from which the next states of some lanes are computed.
struct RowParts {
  float* dts;     ///< dt
  float* inputs;  ///< dt * u
  float* sums;    ///< skip * u

  RowParts at(std::int64_t i) const { return {dts + i, inputs + i, sums + i}; }
};

/// Computes the RowParts of row `row` for the channels at `e` and stores them in `to`. Returns dt.
template <bool kShort, class D>
HWY_INLINE hn::Vec<D> begin_row(D d, const Channels& c, std::int64_t e, std::int64_t row,
                                const RowParts& to) {
  using V = hn::Vec<D>;
  const V u = hn::LoadU(d, c.u + row * c.d_inner + e);
  const V dt = dt_of<kShort>(d, c, e, row);
  hn::StoreU(dt, d, to.dts);
  hn::StoreU(hn::Mul(dt, u), d, to.inputs);
  hn::StoreU(hn::Mul(hn::LoadU(d, c.skip + e), u), d, to.sums);
  return dt;
}

/// The intermediate values of some rows. Each array is [kRowsAhead][lanes].
struct RowsAhead {
  RowParts parts;
  float* gates;  ///< silu(z)
};

/// Computes the RowsAhead of n_rows rows, beginning with row `first`. Returns the largest dt of
/// each lane. If a dt is NaN, the result for its lane is NaN or the largest dt of the other rows.
template <bool kShort, class D>
hn::Vec<D> look_ahead(D d, const Channels& c, std::int64_t e, std::int64_t first,
                      std::int64_t n_rows, const RowsAhead& to) {
  using V = hn::Vec<D>;
  const std::int64_t lanes = hn::MaxLanes(d);
  V longest = hn::Zero(d);
  for (std::int64_t i = 0; i < n_rows; ++i) {
    const V dt = begin_row<kShort>(d, c, e, first + i, to.parts.at(i * lanes));
    // If dt is NaN, Max returns `longest` on x86 and NaN on other machines. The caller's comparison
    // is false for NaN.
    longest = hn::Max(dt, longest);
    const V z = hn::LoadU(d, c.z + (first + i) * c.d_inner + e);
    hn::StoreU(silu_of(d, z), d, to.gates + i * lanes);
  }
  return longest;
}

/// Scans all rows for one vector of channels, which begins at channel `e`. The class `States` holds
/// the states between rows.
template <bool kShort, class States, class D>
void scan_lanes(D d, const Channels& c, std::int64_t e) {
  using V = hn::Vec<D>;
  const std::int64_t lanes = hn::MaxLanes(d);
  float* decays = c.memory;
  V fastest = hn::Zero(d);
  for (std::int64_t n = 0; n < c.d_state; ++n) {
    const V decay = hn::LoadU(d, c.decays + n * c.d_inner + e);
    fastest = hn::IfThenElse(hn::Lt(decay, fastest), decay, fastest);
    hn::StoreU(decay, d, decays + n * lanes);
  }
  States states(d, c, e, decays + c.d_state * lanes);
  float* ahead = decays + 2 * c.d_state * lanes;
  const std::int64_t block = kRowsAhead * lanes;
  const RowsAhead rows{{ahead, ahead + block, ahead + 2 * block}, ahead + 3 * block};
  const auto scan_rows = [&](std::int64_t first, std::int64_t n_rows, auto power_of) HWY_ATTR {
    for (std::int64_t i = 0; i < n_rows; ++i) {
      const float* b = c.bc + (first + i) * c.bc_stride;
      const float* weights = b + c.d_state;
      const std::int64_t at = (first + i) * c.d_inner + e;
      // Prefetches by software, because rows are too far apart for the prefetcher of the hardware.
      if (first + i + kRowsAhead < c.n_rows) {
        hwy::Prefetch(c.u + at + kRowsAhead * c.d_inner);
        if (c.dt != nullptr) hwy::Prefetch(c.dt + at + kRowsAhead * c.d_inner);
        hwy::Prefetch(c.z + at + kRowsAhead * c.d_inner);
        hwy::Prefetch(c.y + at + kRowsAhead * c.d_inner);
      }
      const V dt = hn::LoadU(d, rows.parts.dts + i * lanes);
      const V input = hn::LoadU(d, rows.parts.inputs + i * lanes);
      V sum = hn::LoadU(d, rows.parts.sums + i * lanes);
      states.for_each([&](std::int64_t n, V state) HWY_ATTR {
        state =
            next_of<kShort>(d, state, power_of(dt, hn::LoadU(d, decays + n * lanes)), input, b[n]);
        sum = hn::MulAdd(state, hn::Set(d, weights[n]), sum);
        return state;
      });
      hn::StoreU(hn::Mul(sum, hn::LoadU(d, rows.gates + i * lanes)), d, c.y + at);
    }
  };
  for (std::int64_t first = 0; first < c.n_rows; first += kRowsAhead) {
    const std::int64_t n_rows = std::min(kRowsAhead, c.n_rows - first);
    const V longest = look_ahead<kShort>(d, c, e, first, n_rows, rows);
    // If every product dt * decay is above kVanishing, the bound is not needed. NaN stays NaN with
    // and without the bound.
    if (hn::AllTrue(d, hn::Gt(hn::Mul(fastest, longest), hn::Set(d, kVanishing))))
      scan_rows(first, n_rows, [](V dt, V decay) HWY_ATTR { return hn::Mul(dt, decay); });
    else
      scan_rows(first, n_rows, [d](V dt, V decay) HWY_ATTR { return bounded_power(d, dt, decay); });
  }
  if (c.h_out != nullptr) states.store(d, c, e);
}

template <class D>
HWY_INLINE hn::Vec<D> first_state(D d, const Channels& c, std::int64_t n, std::int64_t e) {
  return c.h_in == nullptr ? hn::Zero(d) : hn::LoadU(d, c.h_in + n * c.d_inner + e);
}

/// Holds the states of one vector of channels in registers. There must be enough registers for
/// kStates states.
template <class D, int kStates>
class InRegisters {
 public:
  using V = hn::Vec<D>;
  HWY_INLINE InRegisters(D d, const Channels& c, std::int64_t e, float* /*memory*/) {
    unrolled<kStates>([&](auto n) HWY_ATTR { held_[n] = first_state(d, c, n, e); });
  }
  template <class Next>
  HWY_INLINE void for_each(const Next& next) {
    unrolled<kStates>([&](auto n) HWY_ATTR { held_[n] = next(n, held_[n]); });
  }
  HWY_INLINE void store(D d, const Channels& c, std::int64_t e) const {
    unrolled<kStates>([&](auto n)
                          HWY_ATTR { hn::StoreU(held_[n], d, c.h_out + n * c.d_inner + e); });
  }

 private:
  V held_[kStates];
};

/// Holds the states of one vector of channels in memory, for any number of states.
template <class D>
class InMemory {
 public:
  using V = hn::Vec<D>;
  HWY_INLINE InMemory(D d, const Channels& c, std::int64_t e, float* memory)
      : held_(memory), n_states_(c.d_state) {
    for (std::int64_t n = 0; n < n_states_; ++n)
      hn::StoreU(first_state(d, c, n, e), d, held_ + n * kLanes);
  }
  template <class Next>
  HWY_INLINE void for_each(const Next& next) {
    const D d;
    for (std::int64_t n = 0; n < n_states_; ++n)
      hn::StoreU(next(n, hn::LoadU(d, held_ + n * kLanes)), d, held_ + n * kLanes);
  }
  HWY_INLINE void store(D d, const Channels& c, std::int64_t e) const {
    for (std::int64_t n = 0; n < n_states_; ++n)
      hn::StoreU(hn::LoadU(d, held_ + n * kLanes), d, c.h_out + n * c.d_inner + e);
  }

 private:
  static constexpr std::int64_t kLanes = hn::MaxLanes(D());
  float* held_;
  std::int64_t n_states_;
};

/// Stores vectors, and bypasses the caches for whole cache lines where possible. The new state is
/// not read before the next step. A store that does not first read its cache line takes half the
/// memory traffic.
template <class D>
class PastCaches {
 public:
  PastCaches(const float* to, std::int64_t d_inner)
      : streams_(hn::MaxLanes(D()) > 1 && reinterpret_cast<std::uintptr_t>(to) % 64 == 0 &&
                 d_inner % 16 == 0) {}
  ~PastCaches() {
    if (streams_) hwy::FlushStream();
  }
  HWY_INLINE void store(hn::Vec<D> v, float* to) const {
    const D d;
    if (streams_)
      hn::Stream(v, d, to);
    else
      hn::StoreU(v, d, to);
  }

 private:
  bool streams_;
};

/// Scans one row of channels [begin, end), one state after the other. So decays and states are read
/// as long streams. The operations on each channel and their order are the same as in scan_lanes().
template <bool kShort, class D>
void scan_row(D d, const Channels& c, std::int64_t begin, std::int64_t end) {
  using V = hn::Vec<D>;
  const std::int64_t lanes = hn::MaxLanes(d);
  const RowParts parts{c.memory, c.memory + kChannelsOfOne, c.memory + 2 * kChannelsOfOne};
  const auto& [dts, inputs, sums] = parts;
  const float* b = c.bc;
  const float* weights = b + c.d_state;
  for (std::int64_t e = begin; e < end; e += lanes) begin_row<kShort>(d, c, e, 0, parts.at(e));
  const bool keeps = c.h_out != nullptr;
  const PastCaches<D> out(keeps ? c.h_out + begin : nullptr, c.d_inner);
  for (std::int64_t n = 0; n < c.d_state; ++n)
    for (std::int64_t e = begin; e < end; e += lanes) {
      const std::int64_t at = n * c.d_inner + e;
      // Prefetches the next state by software. For the prefetcher of the hardware, the channels of
      // one state are too short a stream.
      if (n + 1 < c.d_state) {
        hwy::Prefetch(c.decays + at + c.d_inner);
        if (c.h_in != nullptr) hwy::Prefetch(c.h_in + at + c.d_inner);
      }
      const V before = c.h_in == nullptr ? hn::Zero(d) : hn::LoadU(d, c.h_in + at);
      const V state = next_of<kShort>(
          d, before, bounded_power(d, hn::LoadU(d, dts + e), hn::LoadU(d, c.decays + at)),
          hn::LoadU(d, inputs + e), b[n]);
      if (keeps) out.store(state, c.h_out + at);
      hn::StoreU(hn::MulAdd(state, hn::Set(d, weights[n]), hn::LoadU(d, sums + e)), d, sums + e);
    }
  for (std::int64_t e = begin; e < end; e += lanes)
    hn::StoreU(hn::Mul(hn::LoadU(d, sums + e), silu_of(d, hn::LoadU(d, c.z + e))), d, c.y + e);
}

/// Scans all channels of the work item: first whole vectors of channels, then the remaining
/// channels one by one.
template <bool kShort, template <class> class States>
void scan_channels(const Channels& c) {
  using D = hn::CappedTag<float, 16>;
  using One = hn::CappedTag<float, 1>;
  const std::int64_t lanes = hn::MaxLanes(D());
  std::int64_t e = 0;
  for (; e + lanes <= c.n_channels; e += lanes) scan_lanes<kShort, States<D>>(D(), c, e);
  for (; e < c.n_channels; ++e) scan_lanes<kShort, InMemory<One>>(One(), c, e);
}

template <class D>
using Sixteen = InRegisters<D, 16>;

template <bool kShort>
void scan_in(const Channels& c) {
  if (c.n_rows == 1) {
    const hn::CappedTag<float, 16> d;
    const std::int64_t lanes = hn::MaxLanes(d);
    const std::int64_t whole = c.n_channels / lanes * lanes;
    scan_row<kShort>(d, c, 0, whole);
    scan_row<kShort>(hn::CappedTag<float, 1>(), c, whole, c.n_channels);
  } else if (c.d_state == 16) {
    scan_channels<kShort, Sixteen>(c);
  } else {
    scan_channels<kShort, InMemory>(c);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#endif
