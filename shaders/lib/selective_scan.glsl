// The recurrence of the selective scan over consecutive rows, with the states in registers.
//   dt' = clip(softplus(raw + dt_bias)), raw = dt or r * dt_weight;  a = -exp(a_log)
//   h = exp(dt' * a) * h + dt' * u * B;   y = (h . C + skip * u) * silu(z)
// With norms, B and C are first replaced by norm * B / sqrt(mean(B^2) + eps), and C likewise.
//
// Declares bindings 1 to 6: u [R, E]; params [R, W], with B and C side by side in each row, and
// then r if there is no dt; dt [R, E] (or params again); z [R, E]; h, state [N, E]; y [R, E].
// LANES adjacent lanes share a channel and its states, so a workgroup has GROUP_SIZE / LANES
// channels (grid x). Requires subgroups of at least LANES lanes.
#ifndef BX_SELECTIVE_SCAN_GLSL
#define BX_SELECTIVE_SCAN_GLSL

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

// B and C of some rows after their norms. All channels share them, so the workgroup computes them
// together. The number of rows is a multiple of kAhead, and small enough for shared memory.
const uint kFittingGroups = 2048 / (2 * kDState * kAhead);
const uint kNormGroups = kFittingGroups < 1 ? 1 : kFittingGroups > 8 ? 8 : kFittingGroups;
const uint kNormRows = kNormGroups * kAhead;
shared float normed[kHasNorms ? kNormRows * 2 * kDState : 1];

// `channel` is the channel of this lane, and `part` is the index of the lane among the lanes of the
// channel. Lanes beyond the last channel compute the last channel again; their `writes` is false.
uint part;
uint channel;
bool writes;

// state[i] of this lane is state i * kLanes + part of the channel.
const uint kPerLane = (kDState + kLanes - 1) / kLanes;
float state[kPerLane];
float rate[kPerLane];  // a
bool exists(const uint i) { return kDState % kLanes == 0 || i * kLanes + part < kDState; }
// The index in the array [N, E] of the state that state[i] holds.
uint state_at(const uint i) { return (i * kLanes + part) * p.d_inner + channel; }

float dt_weight, dt_bias, skip;
float dt_sum = 0.0;  // sum of dt over the rows so far

// The values of kAhead consecutive rows. All of these rows are loaded before the first of them is
// computed, so that their loads overlap.
float row_u[kAhead];
float row_z[kAhead];
float row_dt[kAhead];  // dt, or r
float row_b[kAhead * kPerLane];
float row_c[kAhead * kPerLane];

void load_channel() {
  part = gl_LocalInvocationID.x % kLanes;
  channel = (gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x) / kLanes;
  writes = channel < p.d_inner;
  channel = min(channel, p.d_inner - 1);
  if (!kHasDt) dt_weight = weight_at(p.dt_weight, kDtWeightForm, channel);
  dt_bias = Floats(p.dt_bias.data).at[channel];
  skip = Floats(p.skip.data).at[channel];
  for (uint i = 0; i < kPerLane; ++i) {
    state[i] = 0.0;
    rate[i] = 0.0;
    if (exists(i))
      rate[i] = -exp_of(weight_at(p.a_log, kALogForm, channel * kDState + i * kLanes + part));
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
    for (uint n = 0; n < kDState; ++n) sum += params[from + n] * params[from + n];
    const float scale = 1.0 / sqrt(sum / float(kDState) + p.eps);
    for (uint n = 0; n < kDState; ++n)
      normed[i * kDState + n] = params[from + n] * scale * Floats(norm).at[n];
  }
  barrier();
}

// Loads a row as the j-th row. `first` is the first of the rows in normed[].
void load_row(const uint j, const uint row, const uint first, const bool for_y) {
  const uint params_at = row * p.params_width + p.first_b;
  const uint normed_at = (row - first) * 2 * kDState;
  row_u[j] = u[row * p.d_inner + channel];
  row_dt[j] = kHasDt ? SCAN_RAW_DT(row) : params[params_at + 2 * kDState];
  if (for_y) row_z[j] = z[row * p.d_inner + channel];
  for (uint i = 0; i < kPerLane; ++i) {
    if (!exists(i)) continue;
    const uint b = i * kLanes + part;
    const uint c = kDState + b;
    row_b[j * kPerLane + i] = kHasNorms ? normed[normed_at + b] : params[params_at + b];
    if (for_y) row_c[j * kPerLane + i] = kHasNorms ? normed[normed_at + c] : params[params_at + c];
  }
}

float dt_of(const float raw) {
  const float dt = softplus(kHasDt ? raw + dt_bias : fused(raw, dt_weight, dt_bias));
  return dt < p.dt_min ? p.dt_min : dt > p.dt_max ? p.dt_max : dt;
}

// Advances the states by one row, the j-th of the loaded rows. Returns y of the channel. All lanes
// of the channel get the same y.
float advance(const uint j, const bool for_y) {
  const float dt = dt_of(row_dt[j]);
  const float dt_u = dt * row_u[j];
  dt_sum += dt;
  float sum = 0.0;
  for (uint i = 0; i < kPerLane; ++i) {
    if (!exists(i)) continue;
    float scale, rest;
    exp_parts(dt * rate[i], scale, rest);
    const float kept = state[i] * scale;  // exact
    state[i] = kept + (kept * rest + dt_u * row_b[j * kPerLane + i]);
    if (for_y) sum += state[i] * row_c[j * kPerLane + i];
  }
  if (!for_y) return 0.0;
  sum = lanes_sum(sum, 1, kLanes);
  return (sum + skip * row_u[j]) * silu(row_z[j]);
}

// Scans rows [first, end). If `for_y` is false, the function computes the states but no y. All
// invocations of the workgroup must call this function with the same rows, in uniform control flow.
void scan_rows(const uint first, const uint end, const bool for_y) {
  uint first_normed = first;
  for (uint row = first; row < end; row += kAhead) {
    if (kHasNorms && (row - first) % kNormRows == 0) {
      first_normed = row;
      norm_rows(row, end);
    }
    for (uint j = 0; j < kAhead; ++j)
      if (row + j < end) load_row(j, row + j, first_normed, for_y);
    for (uint j = 0; j < kAhead; ++j)
      if (row + j < end) {
        const float value = advance(j, for_y);
        if (for_y && writes && part == 0) y[(row + j) * p.d_inner + channel] = value;
      }
  }
}

#endif
