// The inputs and results of the vectorized gradient of the scan. It computes some channels of one
// segment at a time.
#pragma once

#include <cstdint>

namespace bitaxon::cpu {

/// The number of channels of one work item. Sums over channels are first computed for these
/// channels, so that they do not depend on the number of threads.
inline constexpr std::int64_t kBackChannels = 128;
/// The most lanes of a vector.
inline constexpr std::int64_t kBackLanes = 16;

/// The columns of the sums over channels: N4 for B, N4 for C, and four for r, of which only the
/// first is used. N4 is the number of states, rounded up to a multiple of four.
struct BackColumns {
  std::int64_t n4;
  explicit BackColumns(std::int64_t d_state) : n4((d_state + 3) / 4 * 4) {}
  std::int64_t c() const { return n4; }
  std::int64_t r() const { return 2 * n4; }
  std::int64_t width() const { return 2 * n4 + 4; }
};

/// Some channels of one segment. All pointers to rows of channels point to the first channel.
struct BackChannels {
  const float* u;   ///< [n_rows]; the rows of u, dt, z, g_y and of the gradients are d_inner apart
  const float* dt;  ///< before its bias; nullptr if the time step has rank 1
  const float* z;
  const float* g_y;
  const float* bc;         ///< [n_rows, 2, N]: B and C
  const float* rates;      ///< [n_rows]: r, rate_stride apart; nullptr if there is a dt
  const float* decays;     ///< [N]: -exp(a_log) * log2(e), d_inner apart, as h and the carries
  const float* dt_weight;  ///< unused if there is a dt
  const float* dt_bias;
  const float* skip;
  const float* h;         ///< nullptr if the state is zero
  const float* carry_in;  ///< nullptr for zeros
  float* carry_out;       ///< nullptr if nothing is handed on
  float* g_u;
  float* g_z;
  float* g_dt;    ///< nullptr if the time step has rank 1
  float* sums;    ///< [n_rows, width]: receives the sums over these channels
  float* memory;  ///< [back_memory_of(n_rows, N)]: scratch
  std::int64_t n_rows, n_channels, d_inner, d_state, bc_stride, rate_stride;
  float dt_min, dt_max;
};

/// The number of floats in BackChannels::memory: for kBackLanes channels, the states before and
/// after each row, the time step, its slope and the sums of each row, decays and carries.
inline std::int64_t back_memory_of(std::int64_t n_rows, std::int64_t d_state) {
  return ((n_rows + 1) * d_state + n_rows * (2 + BackColumns(d_state).width() / 4) + 2 * d_state) *
         kBackLanes;
}

}  // namespace bitaxon::cpu
