// The recurrence of the selective scan over consecutive rows, with the states in registers.
//   dt' = clip(softplus(raw + dt_bias)), raw = dt or r * dt_weight;  a = -exp(a_log)
//   h = exp(dt' * a) * h + dt' * u * B;   y = (h . C + skip * u) * silu(z)
// With norms, B and C are first replaced by norm * B / sqrt(mean(B^2) + eps), and C likewise.
//
// Declares bindings 1 to 6: u [R, E]; params [R, W], with B and C side by side in each row, and
// then r if there is no dt; dt [R, E] (or params again); z [R, E]; h, state [N, E]; y [R, E].
// LANES adjacent lanes share a channel and its states, so a workgroup has GROUP_SIZE / LANES
// channels (grid x). If there are at least four, the rows are taken in blocks of four, and what
// depends on a row but not on a state is computed by one lane of four. Requires whole subgroups of
// at least LANES lanes.
#ifndef BX_SELECTIVE_SCAN_GLSL
#define BX_SELECTIVE_SCAN_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

#include "lib/lanes_sum.glsl"
#include "lib/math.glsl"
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/selective_scan.h"

layout(local_size_x_id = BX_SELECTIVE_SCAN_GROUP_SIZE) in;
layout(constant_id = BX_SELECTIVE_SCAN_D_STATE) const uint kDState = 16;
layout(constant_id = BX_SELECTIVE_SCAN_LANES) const uint kLanes = 1;
layout(constant_id = BX_SELECTIVE_SCAN_ROWS_AHEAD) const uint kAhead = 1;
layout(constant_id = BX_SELECTIVE_SCAN_A_LOG_FORM) const uint kALogForm = 0;
layout(constant_id = BX_SELECTIVE_SCAN_DT_WEIGHT_FORM) const uint kDtWeightForm = 0;
layout(constant_id = BX_SELECTIVE_SCAN_HAS_NORMS) const bool kHasNorms = false;

layout(set = 0, binding = 1, scalar) readonly restrict buffer U { float u[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Params { float params[]; };
layout(set = 0, binding = 4, scalar) readonly restrict buffer Z { float z[]; };
layout(set = 0, binding = 5, scalar) restrict buffer H { float h[]; };
layout(set = 0, binding = 6, scalar) restrict buffer Y { float y[]; };
// A shader may have more parameters, and its own time steps and binding 3.
#ifndef SCAN_PUSH
#define SCAN_PUSH SelectiveScanPush
#endif
#ifndef SCAN_RAW_DT
layout(set = 0, binding = 3, scalar) readonly buffer Dt { float raw_dt[]; };
#define SCAN_RAW_DT(row) raw_dt[(row) * p.d_inner + channel]
#endif
layout(push_constant, scalar) uniform Push { SCAN_PUSH p; };

const bool kHasDt = kDtWeightForm == BX_FORM_ABSENT;
const bool kInFours = kLanes >= 4;
const uint kBlockRows = kInFours ? 4 : kAhead;

// B and C of some rows after their norms. All channels share them, so the workgroup computes them
// together. The number of rows is a multiple of kBlockRows, and small enough for shared memory.
const uint kFittingBlocks = 2048 / (2 * kDState * kBlockRows);
const uint kNormBlocks = kFittingBlocks < 1 ? 1 : kFittingBlocks > 8 ? 8 : kFittingBlocks;
const uint kNormRows = kNormBlocks * kBlockRows;
shared float normed[kHasNorms ? kNormRows * 2 * kDState : 1];

// `channel` is the channel of this lane, and `part` is the index of the lane among the lanes of the
// channel. Lanes beyond the last channel compute the last channel again; their `writes` is false.
uint part;
uint channel;
bool writes;
// The lowest bits of `part`. They are computed once, because compilers do not move them out of a loop.
bool is_odd;
bool is_high;

// state[i] of this lane is state part * kPerLane + i of the channel: neighboring states, whose B and C
// one load brings.
const uint kPerLane = (kDState + kLanes - 1) / kLanes;
float state[kPerLane];
float rate[kPerLane];  // -a, as decay_parts() takes it
bool exists(const uint i) { return kDState % kLanes == 0 || part * kPerLane + i < kDState; }
// The index in the array [N, E] of the state that state[i] holds.
uint state_at(const uint i) { return (part * kPerLane + i) * p.d_inner + channel; }

float dt_weight, dt_bias, skip;
float dt_sum = 0.0;  // sum of dt over the rows, after scan_rows()

// B and C of kAhead consecutive rows. They are loaded before the first of the rows is computed, so
// that their loads overlap.
float row_b[kAhead * kPerLane];
float row_c[kAhead * kPerLane];

void set_state(const uint i, const float value) {
  // decay_parts() forgets that a rate is NaN.
  state[i] = is_nan(rate[i]) ? rate[i] : value;
}

void load_channel() {
  part = gl_LocalInvocationID.x % kLanes;
  is_odd = (part & 1u) != 0;
  is_high = (part & 2u) != 0;
  channel = (gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x) / kLanes;
  writes = channel < p.d_inner;
  channel = min(channel, p.d_inner - 1);
  if (!kHasDt) dt_weight = weight_at(p.dt_weight, kDtWeightForm, channel);
  dt_bias = Floats(p.dt_bias.data).at[channel];
  skip = Floats(p.skip.data).at[channel];
  for (uint i = 0; i < kPerLane; ++i) {
    state[i] = 0.0;
    rate[i] = 0.0;
    if (exists(i)) {
      const uint at = channel * kDState + part * kPerLane + i;
      rate[i] = exp_of(weight_at(p.a_log, kALogForm, at)) * kDecayOfOne;
      set_state(i, 0.0);
    }
  }
}

// The offset in h[] of the state in one slot and version.
uint h_base(const uint slot, const uint version) {
  return slot * p.slot_stride + version * p.version_stride;
}

// Computes the norms of B and C of rows first, first + 1, ..., at most kNormRows rows, and stores
// the results in normed[]. All invocations must call this function, in uniform control flow.
void norm_rows(const uint first, const uint end) {
  const uint n_rows = min(end - first, kNormRows);
  barrier();  // the previous rows have been read
  for (uint i = gl_LocalInvocationID.x; i < 2 * n_rows; i += gl_WorkGroupSize.x) {
    const uint from = (first + i / 2) * p.params_width + p.first_b + i % 2 * kDState;
    const uvec2 norm = i % 2 == 0 ? p.b_norm : p.c_norm;
    float sum = 0.0;
    // Loads of 16 states overlap. With those of all states, compilers run out of registers.
    [[dont_unroll]] for (uint n = 0; n < kDState; n += 16)
      [[unroll]] for (uint k = 0; k < 16; ++k)
        if (n + k < kDState) sum += params[from + n + k] * params[from + n + k];
    const float scale = 1.0 / sqrt(sum / float(kDState) + p.eps);
    [[dont_unroll]] for (uint n = 0; n < kDState; n += 16)
      [[unroll]] for (uint k = 0; k < 16; ++k)
        if (n + k < kDState)
          normed[i * kDState + n + k] = params[from + n + k] * scale * Floats(norm).at[n + k];
  }
  barrier();
}

// Loads B and C of a row as those of the j-th row. `first` is the first of the rows in normed[].
void load_bc(const uint j, const uint row, const uint first, const bool for_y) {
  // Constants are added last. So C has the address of B and an offset, which the load adds.
  const uint at = (kHasNorms ? (row - first) * 2 * kDState : row * p.params_width + p.first_b) +
                  part * kPerLane;
  for (uint i = 0; i < kPerLane; ++i) {
    if (exists(i)) {
      const uint to = j * kPerLane + i;
      row_b[to] = kHasNorms ? normed[at + i] : params[at + i];
      if (for_y) row_c[to] = kHasNorms ? normed[at + (kDState + i)] : params[at + (kDState + i)];
    }
  }
}

// dt of a row before its softplus, or r.
float raw_step(const uint row) {
  return kHasDt ? SCAN_RAW_DT(row) : params[row * p.params_width + p.first_b + 2 * kDState];
}

float dt_of(const float raw) {
  const float dt = softplus(kHasDt ? raw + dt_bias : fused(raw, dt_weight, dt_bias));
  return dt < p.dt_min ? p.dt_min : dt > p.dt_max ? p.dt_max : dt;
}

// Advances the states of this lane by one row, the j-th of the loaded rows. Returns the part of
// h . C that these states give.
float advance(const uint j, const float dt, const float dt_u, const bool for_y) {
  float sum = 0.0;
  for (uint i = 0; i < kPerLane; ++i) {
    if (exists(i)) {
      float scale, rest;
      decay_parts(dt * rate[i], scale, rest);
      const float kept = state[i] * scale;  // exact
      state[i] = kept + (kept * rest + dt_u * row_b[j * kPerLane + i]);
      if (for_y) sum = state[i] * row_c[j * kPerLane + i] + sum;
    }
  }
  return sum;
}

void scan_rows_one_by_one(const uint first, const uint first_normed, const uint end,
                          const bool for_y) {
  float row_u[kAhead];
  float row_z[kAhead];
  float row_dt[kAhead];
  for (uint j = 0; j < kAhead; ++j) {
    const uint row = first + j;
    if (row < end) {
      row_u[j] = u[row * p.d_inner + channel];
      row_dt[j] = raw_step(row);
      if (for_y) row_z[j] = z[row * p.d_inner + channel];
      load_bc(j, row, first_normed, for_y);
    }
  }
  for (uint j = 0; j < kAhead; ++j) {
    if (first + j < end) {
      const float dt = dt_of(row_dt[j]);
      dt_sum += dt;
      const float own_sum = advance(j, dt, dt * row_u[j], for_y);
      if (for_y) {
        const float sum = lanes_sum(own_sum, 1, kLanes);
        const float value = (sum + skip * row_u[j]) * silu(row_z[j]);
        if (writes && part == 0) y[(first + j) * p.d_inner + channel] = value;
      }
    }
  }
}

// Gives four adjacent lanes the numbers of all four: all[j] is that of the j-th lane. The distances
// of the shuffles are literals (lib/lanes_sum.glsl).
void spread(const float mine, out float all[4]) {
  const float beside = subgroupShuffleXor(mine, 1u);
  const float even_one = is_odd ? beside : mine;
  const float odd_one = is_odd ? mine : beside;
  const float other_even = subgroupShuffleXor(even_one, 2u);
  const float other_odd = subgroupShuffleXor(odd_one, 2u);
  all[0] = is_high ? other_even : even_one;
  all[1] = is_high ? other_odd : odd_one;
  all[2] = is_high ? even_one : other_even;
  all[3] = is_high ? odd_one : other_odd;
}

// The inverse: the j-th lane of four gets the sum of parts[j] over the lanes. The order of the
// additions is the same for all j.
float gather(const float parts[4]) {
  const float low_pair =
      (is_odd ? parts[1] : parts[0]) + subgroupShuffleXor(is_odd ? parts[0] : parts[1], 1u);
  const float high_pair =
      (is_odd ? parts[3] : parts[2]) + subgroupShuffleXor(is_odd ? parts[2] : parts[3], 1u);
  return (is_high ? high_pair : low_pair) + subgroupShuffleXor(is_high ? low_pair : high_pair, 2u);
}

// Every lane computes the time step and the end of one row of the block. Its row is that of its
// index among four adjacent lanes. `is_whole` is a constant: whether all four rows exist. Without
// conditions, compilers need not move states between registers.
void scan_four_rows(const uint first, const uint first_normed, const uint end, const bool for_y,
                    const bool is_whole) {
  const bool owns = kLanes == 4 || part < 4;
  const uint own_row = first + part % 4;
  const uint row = is_whole ? own_row : min(own_row, end - 1);
  const float own_u = u[row * p.d_inner + channel];
  const float own_z = for_y ? z[row * p.d_inner + channel] : 0.0;
  const float raw = raw_step(row);
  // Otherwise the values of the block before would have to be kept.
  if (!is_whole)
    for (uint i = 0; i < kAhead * kPerLane; ++i) row_b[i] = row_c[i] = 0.0;
  for (uint j = 0; j < kAhead; ++j)
    if (is_whole || first + j < end) load_bc(j, first + j, first_normed, for_y);
  const float own_dt = dt_of(raw);
  if (owns && (is_whole || first + part < end)) dt_sum += own_dt;
  float dt[4], dt_u[4], parts[4];
  spread(own_dt, dt);
  spread(own_dt * own_u, dt_u);
  for (uint k = 0; k < 4; k += kAhead) {
    if (k > 0)
      for (uint j = 0; j < kAhead; ++j)
        if (is_whole || first + k + j < end) load_bc(j, first + k + j, first_normed, for_y);
    for (uint j = 0; j < kAhead; ++j) {
      parts[k + j] = 0.0;
      if (is_whole || first + k + j < end)
        parts[k + j] = advance(j, dt[k + j], dt_u[k + j], for_y);
    }
  }
  if (!for_y) return;
  if (kLanes > 4)
    for (uint j = 0; j < 4; ++j) parts[j] = lanes_sum(parts[j], 4, kLanes);
  const float sum = gather(parts);
  if (writes && owns && (is_whole || first + part < end))
    y[row * p.d_inner + channel] = (sum + skip * own_u) * silu(own_z);
}

// Scans rows [first, end). If `for_y` is false, the function computes the states but no y. All
// invocations of the workgroup must call this function with the same rows, in uniform control flow.
void scan_rows(const uint first, const uint end, const bool for_y) {
  uint first_normed = first;
  uint row = first;
  for (; row + (kInFours ? 3 : 0) < end; row += kBlockRows) {
    if (kHasNorms && (row - first) % kNormRows == 0) {
      first_normed = row;
      norm_rows(row, end);
    }
    if (kInFours)
      scan_four_rows(row, first_normed, end, for_y, true);
    else
      scan_rows_one_by_one(row, first_normed, end, for_y);
  }
  if (!kInFours) return;
  if (row < end) {
    if (kHasNorms && (row - first) % kNormRows == 0) {
      first_normed = row;
      norm_rows(row, end);
    }
    scan_four_rows(row, first_normed, end, for_y, false);
  }
  dt_sum = lanes_sum(dt_sum, 1, kLanes);
}

#endif
