// The gradient of the scan for some channels. Each lane of a vector is a channel. Only files that
// Highway compiles once per target include this header.
#if defined(BITAXON_SCAN_BACK_LANES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef BITAXON_SCAN_BACK_LANES_INL
#undef BITAXON_SCAN_BACK_LANES_INL
#else
#define BITAXON_SCAN_BACK_LANES_INL
#endif

#include <algorithm>

#include "cpu/simd/scan_back_channels.h"
#include "cpu/simd/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

/// The lower bound of dt * decay: 2^-100 is negligible.
constexpr float kLeastPower = -100.0F;

/// Whether a vector is made of blocks of four lanes, which add_sums() needs.
template <class D>
constexpr bool has_blocks() {
  return hn::MaxLanes(D()) >= 4;
}

/// The arrays of BackChannels::memory.
struct BackMemory {
  float* states;  ///< [n_rows + 1, N, lanes]
  float* dts;     ///< [n_rows, lanes]
  float* slopes;  ///< [n_rows, lanes]: of dt by its raw value; 0 outside of the clip
  float* decays;  ///< [N, lanes]
  float* held;    ///< [N, lanes]: the carry
  float* sums;    ///< [n_rows, width / 4, lanes]: sums of lanes of equal place in a block

  BackMemory(const BackChannels& c) {
    float* next = c.memory;
    const auto take = [&](std::int64_t n) {
      float* block = next;
      next += n * kBackLanes;
      return block;
    };
    states = take((c.n_rows + 1) * c.d_state);
    dts = take(c.n_rows);
    slopes = take(c.n_rows);
    decays = take(c.d_state);
    held = take(c.d_state);
    sums = take(c.n_rows * BackColumns(c.d_state).width() / 4);
  }
};

/// 1 / (1 + e^-x). NaN stays NaN.
template <class D, class V>
HWY_INLINE V sigmoid_of(D d, V x) {
  return hn::Div(hn::Set(d, 1.0F), hn::Add(hn::Set(d, 1.0F), exp_of(d, hn::Neg(x))));
}

/// Computes the time step of a row and its slope.
template <class D>
HWY_INLINE void begin_row(D d, const BackChannels& c, std::int64_t e, std::int64_t row,
                          const BackMemory& m) {
  using V = hn::Vec<D>;
  const std::int64_t lanes = hn::MaxLanes(d);
  const V bias = hn::LoadU(d, c.dt_bias + e);
  const V raw = c.dt != nullptr ? hn::Add(hn::LoadU(d, c.dt + row * c.d_inner + e), bias)
                                : hn::MulAdd(hn::Set(d, c.rates[row * c.rate_stride]),
                                             hn::LoadU(d, c.dt_weight + e), bias);
  const V free = softplus_of<false>(d, raw);
  hn::StoreU(at_most(d, c.dt_max, at_least(d, c.dt_min, free)), d, m.dts + row * lanes);
  const auto stops = hn::Or(hn::Le(free, hn::Set(d, c.dt_min)), hn::Ge(free, hn::Set(d, c.dt_max)));
  hn::StoreU(hn::IfThenZeroElse(stops, sigmoid_of(d, raw)), d, m.slopes + row * lanes);
}

/// Stores the states before each row and after the last one.
template <class D>
void find_states(D d, const BackChannels& c, std::int64_t e, const BackMemory& m) {
  using V = hn::Vec<D>;
  const std::int64_t lanes = hn::MaxLanes(d);
  for (std::int64_t n = 0; n < c.d_state; ++n) {
    const std::int64_t at = n * c.d_inner + e;
    hn::StoreU(hn::LoadU(d, c.decays + at), d, m.decays + n * lanes);
    hn::StoreU(c.h == nullptr ? hn::Zero(d) : hn::LoadU(d, c.h + at), d, m.states + n * lanes);
    hn::StoreU(c.carry_in == nullptr ? hn::Zero(d) : hn::LoadU(d, c.carry_in + at), d,
               m.held + n * lanes);
  }
  for (std::int64_t t = 0; t < c.n_rows; ++t) {
    begin_row(d, c, e, t, m);
    const V dt = hn::LoadU(d, m.dts + t * lanes);
    const V input = hn::Mul(dt, hn::LoadU(d, c.u + t * c.d_inner + e));
    const float* b = c.bc + t * c.bc_stride;
    const float* before = m.states + t * c.d_state * lanes;
    float* after = m.states + (t + 1) * c.d_state * lanes;
    for (std::int64_t n = 0; n < c.d_state; ++n) {
      const V power = at_least(d, kLeastPower, hn::Mul(dt, hn::LoadU(d, m.decays + n * lanes)));
      const Exp2Parts<V> parts = exp2_parts(d, power);
      const V kept = hn::Mul(parts.power, hn::LoadU(d, before + n * lanes));
      const V gain = hn::Mul(input, hn::Set(d, b[n]));
      hn::StoreU(hn::Add(kept, hn::MulAdd(kept, exp2_of_rest<false>(d, parts.rest), gain)), d,
                 after + n * lanes);
    }
  }
}

/// Adds four vectors to the sums of four columns. With blocks, lane 4 * k + i of the sums belongs to
/// column i; without, a vector is one number.
template <class D, class V>
HWY_INLINE void add_sums([[maybe_unused]] D d, const V* values, float* sums) {
#if HWY_TARGET != HWY_SCALAR  // which has no blocks, and no functions that interleave
  if constexpr (has_blocks<D>()) {
    const hn::Repartition<double, D> pairs;
    const auto fold = [&](V a, V b) HWY_ATTR {
      return hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b));
    };
    // In each block: a0 + a2, b0 + b2, a1 + a3, b1 + b3.
    const auto low = hn::BitCast(pairs, fold(values[0], values[1]));
    const auto high = hn::BitCast(pairs, fold(values[2], values[3]));
    const V folded = hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, low, high)),
                             hn::BitCast(d, hn::InterleaveUpper(pairs, low, high)));
    hn::StoreU(hn::Add(hn::LoadU(d, sums), folded), d, sums);
    return;
  }
#endif
  for (std::int64_t i = 0; i < 4; ++i) sums[i] += hn::GetLane(values[i]);
}

/// Goes back through one row.
template <class D>
HWY_INLINE void go_back(D d, const BackChannels& c, std::int64_t e, std::int64_t t,
                        const BackMemory& m, float* sums) {
  using V = hn::Vec<D>;
  const std::int64_t lanes = hn::MaxLanes(d);
  const BackColumns columns(c.d_state);
  const std::int64_t step = has_blocks<D>() ? lanes : 4;  // floats of the sums of four columns
  const std::int64_t at = t * c.d_inner + e;
  const V dt = hn::LoadU(d, m.dts + t * lanes);
  const V u = hn::LoadU(d, c.u + at);
  const V z = hn::LoadU(d, c.z + at);
  const V g_y = hn::LoadU(d, c.g_y + at);
  const V skip = hn::LoadU(d, c.skip + e);
  const V open = sigmoid_of(d, z);
  const V g_sum = hn::Mul(g_y, hn::Mul(z, open));
  const V input = hn::Mul(dt, u);
  const float* b = c.bc + t * c.bc_stride;
  const float* weights = b + c.d_state;
  const float* before = m.states + t * c.d_state * lanes;
  const float* after = before + c.d_state * lanes;
  V sum = hn::Mul(skip, u);
  V through_b = hn::Zero(d);
  V g_dt = hn::Zero(d);
  for (std::int64_t first = 0; first < c.d_state; first += 4) {
    V of_b[4], of_c[4];
    const auto one = [&](std::int64_t i) HWY_ATTR {
      const std::int64_t n = first + i;
      const V state = hn::LoadU(d, after + n * lanes);
      const V decay = hn::LoadU(d, m.decays + n * lanes);
      const V weight = hn::Set(d, weights[n]);
      sum = hn::MulAdd(state, weight, sum);
      const V g = hn::MulAdd(g_sum, weight, hn::LoadU(d, m.held + n * lanes));
      through_b = hn::MulAdd(g, hn::Set(d, b[n]), through_b);
      const Exp2Parts<V> parts = exp2_parts(d, at_least(d, kLeastPower, hn::Mul(dt, decay)));
      const V scaled = hn::Mul(g, parts.power);
      const V kept = hn::MulAdd(scaled, exp2_of_rest<false>(d, parts.rest), scaled);
      g_dt = hn::MulAdd(hn::Mul(decay, hn::LoadU(d, before + n * lanes)), kept, g_dt);
      hn::StoreU(kept, d, m.held + n * lanes);
      of_b[i] = hn::Mul(g, input);
      of_c[i] = hn::Mul(g_sum, state);
    };
    if (first + 4 <= c.d_state) {
      one(0);
      one(1);
      one(2);
      one(3);
    } else {
      for (std::int64_t i = 0; i < 4; ++i) of_b[i] = of_c[i] = hn::Zero(d);
      for (std::int64_t i = 0; first + i < c.d_state; ++i) one(i);
    }
    add_sums(d, of_b, sums + first / 4 * step);
    add_sums(d, of_c, sums + (columns.c() + first) / 4 * step);
  }
  // The decays have a factor log2(e).
  g_dt = hn::MulAdd(u, through_b, hn::Mul(g_dt, hn::Set(d, 1 / kLog2E)));
  const V g_raw = hn::Mul(g_dt, hn::LoadU(d, m.slopes + t * lanes));
  if (c.g_dt != nullptr) {
    hn::StoreU(g_raw, d, c.g_dt + at);
  } else {
    const V zero = hn::Zero(d);
    const V of_r[4] = {hn::Mul(g_raw, hn::LoadU(d, c.dt_weight + e)), zero, zero, zero};
    add_sums(d, of_r, sums + columns.r() / 4 * step);
  }
  hn::StoreU(hn::MulAdd(dt, through_b, hn::Mul(skip, g_sum)), d, c.g_u + at);
  // silu'(z) = s * (1 + z * (1 - s)), with 1 - s = sigmoid(-z).
  const V slope = hn::MulAdd(hn::Mul(open, z), sigmoid_of(d, hn::Neg(z)), open);
  hn::StoreU(hn::Mul(hn::Mul(g_y, sum), slope), d, c.g_z + at);
}

/// Computes one vector of channels, which begins at channel `e`.
template <class D>
void back_lanes(D d, const BackChannels& c, std::int64_t e, const BackMemory& m) {
  const std::int64_t lanes = hn::MaxLanes(d);
  const std::int64_t width = BackColumns(c.d_state).width();
  find_states(d, c, e, m);
  for (std::int64_t t = c.n_rows; t-- > 0;)
    go_back(d, c, e, t, m, has_blocks<D>() ? m.sums + t * width / 4 * lanes : c.sums + t * width);
  for (std::int64_t n = 0; n < c.d_state && c.carry_out != nullptr; ++n)
    hn::StoreU(hn::LoadU(d, m.held + n * lanes), d, c.carry_out + n * c.d_inner + e);
}

/// Computes all channels of the work item: first whole vectors, then the remaining channels one by
/// one.
void back_channels(const BackChannels& c) {
  const hn::CappedTag<float, kBackLanes> d;
  const std::int64_t lanes = hn::MaxLanes(d);
  const BackMemory m(c);
  const std::int64_t width = BackColumns(c.d_state).width();
  const std::int64_t n_sums = c.n_rows * width;
  const bool blocks = has_blocks<hn::CappedTag<float, kBackLanes>>();
  std::fill_n(c.sums, n_sums, 0.0F);
  if (blocks) std::fill_n(m.sums, n_sums / 4 * lanes, 0.0F);
  std::int64_t e = 0;
  for (; e + lanes <= c.n_channels; e += lanes) back_lanes(d, c, e, m);
  for (std::int64_t i = 0; i < n_sums && blocks; ++i)
    for (std::int64_t block = 0; block < lanes / 4; ++block)
      c.sums[i] += m.sums[i / 4 * lanes + block * 4 + i % 4];
  for (; e < c.n_channels; ++e) back_lanes(hn::CappedTag<float, 1>(), c, e, m);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#endif
