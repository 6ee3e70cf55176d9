// The inputs and results of the vectorized scan. It computes some channels of one segment at a
// time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bitaxon::cpu {

/// The number of channels of one work item. In every row, these channels are several cache lines.
/// kChannelsOfOne is for segments of one row.
inline constexpr std::int64_t kChannels = 64;
inline constexpr std::int64_t kChannelsOfOne = 512;
/// The number of rows whose time steps and gates are computed before the states of these rows. The
/// time steps and gates of different rows do not depend on each other, so a core computes several
/// at once.
inline constexpr std::int64_t kRowsAhead = 16;
/// The lower bound of dt * decay. The state is multiplied by 2 to the power of dt * decay. A state
/// times 2^-100 is negligible compared with any value that is added to it.
inline constexpr float kVanishing = -100.0F;

/// Some channels of one segment. All pointers except bc and rates point to the first channel.
struct Channels {
  const float* u;   ///< [n_rows]; the rows of u, dt, z and y are d_inner apart
  const float* dt;  ///< before its bias; nullptr if the time step has rank 1
  const float* z;
  const float* bc;      ///< [n_rows, 2, N]: B and C; the rows are bc_stride apart
  const float* rates;   ///< [n_rows]: r, rate_stride apart; nullptr if there is a dt
  const float* decays;  ///< [N]: -exp(a_log) * log2(e); the rows of decays and h are d_inner apart
  const float* dt_weight;  ///< unused if there is a dt
  const float* dt_bias;
  const float* skip;
  const float* h_in;  ///< nullptr if the state is zero
  float* h_out;       ///< nullptr if the new state is not kept
  float* y;
  float* memory;  ///< [memory_of(N)]: scratch
  std::int64_t n_rows, n_channels, d_inner, d_state, bc_stride, rate_stride;
  float dt_min, dt_max;

  /// The channels from channel `e` on, but at most `most` of them.
  Channels part(std::int64_t e, std::int64_t most, float* scratch) const {
    const auto at = [e](const float* from) { return from == nullptr ? nullptr : from + e; };
    Channels c = *this;
    c.u = at(u);
    c.dt = at(dt);
    c.z = at(z);
    c.decays = at(decays);
    c.dt_weight = at(dt_weight);
    c.dt_bias = at(dt_bias);
    c.skip = at(skip);
    c.h_in = at(h_in);
    c.h_out = h_out == nullptr ? nullptr : h_out + e;
    c.y = y + e;
    c.memory = scratch;
    c.n_channels = std::min(most, n_channels - e);
    return c;
  }
};

/// The number of floats in Channels::memory. The memory has two uses. It holds the decays and
/// states of some lanes and the intermediate values of kRowsAhead rows, or it holds three arrays of
/// kChannelsOfOne floats.
inline std::int64_t memory_of(std::int64_t d_state) {
  return std::max((2 * d_state + 4 * kRowsAhead) * 16, 3 * kChannelsOfOne);
}

}  // namespace bitaxon::cpu
