// The gradient of the selective scan (lib/selective_scan.glsl). For rows t descending, with
// g_s = g_y * silu(z), alpha = exp(dt * a) and the sum s before the gate:
//   G[n] = carry[n] + g_s * C[n];  carry[n] = G[n] * alpha[n];  hb = sum_n G[n] * B[n]
//   g_u = skip * g_s + dt * hb;  g_z = g_y * s * silu'(z)
//   g_dt = sum_n a[n] * carry[n] * h_{t-1}[n] + u * hb, then back through clip and softplus
//   g_B[n] = sum_e G[n] * dt * u;  g_C[n] = sum_e g_s * h_t[n];  g_r = sum_e g_raw * dt_weight
//
// Bindings: step; u [R, E]; bc [R, 2, N]; dt [R, E] (or params, whose last column is r); z [R, E];
// h, state [N, E]; g_y [R, E]; carry [N, E]; g_u, g_z, g_dt [R, E] (g_dt: any buffer if there is no
// dt); work: borders [R / 16 rounded up, N, E], tile [17, N, E], then sums [groups, R, 2N + 1]
// LANES adjacent lanes share a channel (grid x) and its states. They compute all segments, one after
// the other: first the states before every 16th row, the borders. Then they go back in tiles of 16
// rows, whose states they compute again. The sums over the channels of a workgroup are added by
// selective_scan_params. Requires whole subgroups of at least LANES lanes.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#include "lib/lanes_sum.glsl"
#include "lib/math.glsl"
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/selective_scan_backward.h"

layout(local_size_x_id = BX_SELECTIVE_SCAN_BACKWARD_GROUP_SIZE) in;
layout(constant_id = BX_SELECTIVE_SCAN_BACKWARD_D_STATE) const uint kDState = 16;
layout(constant_id = BX_SELECTIVE_SCAN_BACKWARD_A_LOG_FORM) const uint kALogForm = 0;
layout(constant_id = BX_SELECTIVE_SCAN_BACKWARD_DT_WEIGHT_FORM) const uint kDtWeightForm = 0;
layout(constant_id = BX_SELECTIVE_SCAN_BACKWARD_LANES) const uint kLanes = 1;

layout(set = 0, binding = 1, scalar) readonly buffer U { float u[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Bc { float bc[]; };
layout(set = 0, binding = 3, scalar) readonly buffer Dt { float raw_dt[]; };
layout(set = 0, binding = 4, scalar) readonly buffer Z { float z[]; };
layout(set = 0, binding = 5, scalar) readonly buffer H { float h[]; };
layout(set = 0, binding = 6, scalar) readonly buffer GY { float g_y[]; };
layout(set = 0, binding = 7, scalar) buffer Carry { float carry[]; };
layout(set = 0, binding = 8, scalar) writeonly buffer GU { float g_u[]; };
layout(set = 0, binding = 9, scalar) writeonly buffer GZ { float g_z[]; };
layout(set = 0, binding = 10, scalar) writeonly buffer GDt { float g_dt[]; };
layout(set = 0, binding = 11, scalar) buffer Work { float work[]; };
layout(push_constant, scalar) uniform Push { SelectiveScanBackwardPush p; };

const bool kHasDt = kDtWeightForm == BX_FORM_ABSENT;
const uint kSums = 2 * kDState + 1;  // B, C and r
// Sums over the workgroup are computed for this number of columns at a time: all columns of 16 states,
// also if two lanes share a channel. A subgroup has at least 4 lanes.
const uint kColumns = 64;
shared float parts[gl_WorkGroupSize.x / 4 * kColumns];

// `channel` is the channel of this lane, and `part` is the index of the lane among the lanes of the
// channel. Lanes beyond the last channel compute the last channel again; their `writes` is false.
uint part;
uint channel;
bool writes;

// state[i] of this lane is state i * kLanes + part of the channel.
const uint kPerLane = (kDState + kLanes - 1) / kLanes;
float state[kPerLane];
float rate[kPerLane];  // a
float held[kPerLane];  // the carry
bool exists(const uint i) { return kDState % kLanes == 0 || i * kLanes + part < kDState; }
uint state_of(const uint i) { return i * kLanes + part; }
// What this lane adds to the sums of a row: for B and C of its states, then for r.
const uint kValues = 2 * kPerLane + 1;
float values[kValues];
float dt_weight = 0.0, dt_bias, skip;

uint at(const uint row) { return row * p.d_inner + channel; }
uint first_tile() {
  return (p.n_rows + BX_SCAN_TILE_ROWS - 1) / BX_SCAN_TILE_ROWS * kDState * p.d_inner;
}

void load_channel() {
  part = gl_LocalInvocationID.x % kLanes;
  channel = gl_GlobalInvocationID.x / kLanes;
  writes = channel < p.d_inner;
  channel = min(channel, p.d_inner - 1);
  if (!kHasDt) dt_weight = weight_at(p.dt_weight, kDtWeightForm, channel);
  dt_bias = Floats(p.dt_bias.data).at[channel];
  skip = Floats(p.skip.data).at[channel];
  for (uint i = 0; i < kPerLane; ++i) {
    state[i] = rate[i] = held[i] = 0.0;
    if (exists(i)) rate[i] = -exp_of(weight_at(p.a_log, kALogForm, channel * kDState + state_of(i)));
  }
}

// The time step before its softplus.
float step_sum(const uint row) {
  if (kHasDt) return raw_dt[at(row)] + dt_bias;
  return fused(raw_dt[row * p.params_width + 2 * kDState], dt_weight, dt_bias);
}
float clipped(const float dt) { return dt < p.dt_min ? p.dt_min : dt > p.dt_max ? p.dt_max : dt; }

void advance(const uint row) {
  const float dt = clipped(softplus(step_sum(row)));
  const float dt_u = dt * u[at(row)];
  for (uint i = 0; i < kPerLane; ++i) {
    if (exists(i)) {
      float scale, rest;
      exp_parts_below(dt * rate[i], scale, rest);
      const float kept = state[i] * scale;  // exact
      state[i] = kept + (kept * rest + dt_u * bc[row * 2 * kDState + state_of(i)]);
    }
  }
}

void store_states(const uint base) {
  if (!writes) return;
  for (uint i = 0; i < kPerLane; ++i)
    if (exists(i)) work[base + state_of(i) * p.d_inner + channel] = state[i];
}

// The scan from the state before the segment, with a border before every tile of rows.
void find_borders(const SegmentWords segment) {
  const uint from = segment.slot * p.h_slot + segment.read_version * p.h_version + channel;
  for (uint i = 0; i < kPerLane; ++i)
    state[i] = segment.position == 0 || !exists(i) ? 0.0 : h[from + state_of(i) * p.d_inner];
  for (uint i = 0; i < segment.n_rows; ++i) {
    if (i % BX_SCAN_TILE_ROWS == 0)
      store_states(i / BX_SCAN_TILE_ROWS * kDState * p.d_inner);
    advance(segment.first_row + i);
  }
}

// Computes the gradients of a row. `before` is where the states before the row are in the tile.
void go_back(const uint row, const uint before) {
  const float raw = step_sum(row);
  const float unclipped = softplus(raw);
  const float dt = clipped(unclipped);
  const float input_ = u[at(row)];
  const float gate = z[at(row)];
  const float g_of_y = g_y[at(row)];
  const float g_sum = g_of_y * silu(gate);
  const uint b = row * 2 * kDState;
  float sum = 0.0;
  float through_b = 0.0;
  float g_step = 0.0;
  for (uint i = 0; i < kPerLane; ++i) {
    values[i] = values[kPerLane + i] = 0.0;
    if (exists(i)) {
      const uint n = state_of(i);
      const uint place = before + n * p.d_inner + channel;
      const float after = work[place + kDState * p.d_inner];
      const float c = bc[b + kDState + n];
      sum += after * c;
      const float big_g = held[i] + g_sum * c;
      float scale, rest;
      exp_parts_below(dt * rate[i], scale, rest);
      const float kept = big_g * scale;
      held[i] = kept + kept * rest;
      through_b += big_g * bc[b + n];
      g_step += rate[i] * held[i] * work[place];
      if (writes) values[i] = big_g * dt * input_;
      if (writes) values[kPerLane + i] = g_sum * after;
    }
  }
  sum = skip * input_ + lanes_sum(sum, 1, kLanes);
  through_b = lanes_sum(through_b, 1, kLanes);
  g_step = lanes_sum(g_step, 1, kLanes);
  g_step += input_ * through_b;
  const bool stops = unclipped <= p.dt_min || unclipped >= p.dt_max;
  const float g_raw = stops ? 0.0 : g_step * sigmoid(raw);
  values[2 * kPerLane] = writes ? g_raw * dt_weight : 0.0;
  if (!writes || part != 0) return;
  g_u[at(row)] = skip * g_sum + dt * through_b;
  g_z[at(row)] = g_of_y * sum * silu_slope(gate);
  if (kHasDt) g_dt[at(row)] = g_raw;
}

// Adds the values of all lanes, and writes the sums of a row. All invocations must call this
// function, in uniform control flow.
void write_sums(const uint row) {
  const uint to = p.first_sums + (gl_WorkGroupID.x * p.n_rows + row) * kSums;
  const uint at_once = kColumns / kLanes;
  for (uint first = 0; first < kValues; first += at_once) {
    const uint n = min(at_once, kValues - first);
    barrier();  // the parts of an earlier call have been read
    // An unrolled loop over all values, so that they stay in registers.
    [[unroll]] for (uint v = 0; v < kValues; ++v)
      if (v - v % at_once == first) {
        const float sum = lanes_sum(values[v], kLanes, gl_SubgroupSize);
        if (gl_SubgroupInvocationID < kLanes)
          parts[gl_SubgroupID * kColumns + v % at_once * kLanes + gl_SubgroupInvocationID] = sum;
      }
    barrier();
    for (uint c = gl_LocalInvocationID.x; c < n * kLanes; c += gl_WorkGroupSize.x) {
      const uint v = first + c / kLanes;
      const bool is_r = v == 2 * kPerLane;
      const uint n_state = v % kPerLane * kLanes + c % kLanes;
      if (is_r ? c % kLanes != 0 : n_state >= kDState) continue;
      float sum = 0.0;
      for (uint i = 0; i < gl_NumSubgroups; ++i) sum += parts[i * kColumns + c];
      work[to + (is_r ? 2 * kDState : v / kPerLane * kDState + n_state)] = sum;
    }
  }
}

void main() {
  load_channel();
  const uint tile_words = kDState * p.d_inner;
  // Not in the condition of the loop: the instrumentation of GPU-assisted validation splits the block
  // that reads a buffer, and the first block of a loop must not be split.
  const uint n_segments = step_.n_segments;
  for (uint g = 0; g < n_segments; ++g) {
    const SegmentWords segment = step_.segments[g];
    find_borders(segment);
    const uint slot = segment.slot * p.carry_slot + channel;
    const uint from = slot + segment.write_version % 2 * p.carry_version;
    for (uint i = 0; i < kPerLane; ++i)
      held[i] = segment.keeps_state == 0 || !exists(i) ? 0.0
                                                       : carry[from + state_of(i) * p.d_inner];
    const uint n_tiles = (segment.n_rows + BX_SCAN_TILE_ROWS - 1) / BX_SCAN_TILE_ROWS;
    for (uint tile = n_tiles; tile-- > 0;) {
      const uint first = tile * BX_SCAN_TILE_ROWS;
      const uint n_rows = min(BX_SCAN_TILE_ROWS, segment.n_rows - first);
      // A lane reads only states that it has written itself. Lanes beyond the last channel read
      // those of another lane, but nothing that they compute is used.
      for (uint i = 0; i < kPerLane; ++i)
        if (exists(i)) state[i] = work[tile * tile_words + state_of(i) * p.d_inner + channel];
      for (uint i = 0; i < n_rows; ++i) {
        store_states(first_tile() + i * tile_words);
        advance(segment.first_row + first + i);
      }
      store_states(first_tile() + n_rows * tile_words);
      for (uint i = n_rows; i-- > 0;) {
        go_back(segment.first_row + first + i, first_tile() + i * tile_words);
        write_sums(segment.first_row + first + i);
      }
    }
    if (!writes || segment.position == 0) continue;
    const uint to = slot + segment.read_version % 2 * p.carry_version;
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) carry[to + state_of(i) * p.d_inner] = held[i];
  }
}
