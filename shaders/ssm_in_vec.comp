// ssm_in for a step of one row: product, convolution and new tail in one dispatch.
//   v, z = split(in_proj @ n(x) + in_bias);  n(x)[c] = norm[c] * x[c] / sqrt(mean(x^2) + eps), or x[c]
//   u[e] = silu(bias[e] + sum_k taps[e, k] * v(k - (K-1))[e])
//     where v(0) is v, and the earlier rows v(-1), v(-2), ... are the rows of the tail
//   new tail = the old tail without its oldest row, followed by v
// With a second weight, also the product that follows:
//   params[o] = sum_e w[o, e] * u[e]
// A workgroup computes the part of each sum that belongs to its channels, and the last one adds up
// the parts (lib/team_sums.glsl).
//
// Bindings: step; x [1, D]; tail (the state) [K-1, E], oldest row first (any buffer when K is 1);
//   u [1, E]; z [1, E]; with a second weight: params [1, P], sums [workgroups + teams, P], and
//   counters [teams + 1]
// A subgroup computes OUTS outputs, for OUTS of the 2E rows of in_proj. The first E rows give v,
// the other E rows give z. One lane does all the work of a channel, so the new tail may overwrite
// the old tail. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/math.glsl"
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/mat_vec.h"
#include "params/ssm_in.h"

layout(local_size_x_id = BX_SSM_IN_VEC_GROUP_SIZE) in;
layout(constant_id = BX_SSM_IN_VEC_FORM) const uint kForm = 0;
layout(constant_id = BX_SSM_IN_VEC_NORM_FORM) const uint kNormForm = BX_FORM_ABSENT;
layout(constant_id = BX_SSM_IN_VEC_CONV_FORM) const uint kConvForm = 0;
layout(constant_id = BX_SSM_IN_VEC_OUTS) const uint kOuts = 4;
layout(constant_id = BX_SSM_IN_VEC_HAS_BIAS) const bool kHasBias = false;
layout(constant_id = BX_SSM_IN_VEC_HAS_CONV_BIAS) const bool kHasConvBias = true;
layout(constant_id = BX_SSM_IN_VEC_CODES) const uint kCodes = BX_CODES_AS_BYTES;
layout(constant_id = BX_SSM_IN_VEC_PARAMS_FORM) const uint kParamsForm = BX_FORM_ABSENT;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 2, scalar) restrict buffer Tail { float tail[]; };
layout(set = 0, binding = 3, scalar) restrict buffer U { float u[]; };
layout(set = 0, binding = 4, scalar) restrict buffer Z { float z[]; };
layout(set = 0, binding = 5, scalar) restrict buffer Params { float params[]; };
layout(set = 0, binding = 6, scalar) coherent buffer Sums { float sums[]; };
layout(set = 0, binding = 7, scalar) coherent buffer Counters { uint counters[]; };
layout(push_constant, scalar) uniform Push { SsmInVecPush p; };

#include "lib/team_sums.glsl"

const bool kHasNorm = kNormForm != BX_FORM_ABSENT;
const bool kHasParams = kParamsForm != BX_FORM_ABSENT;
// A subgroup has at least 4 lanes.
shared float u_of_group[gl_WorkGroupSize.x / 4 * kOuts];

const uint kOneRow = 1;
#define CODEBOOKS FORM_HAS_CODEBOOK(kForm)
#define MV_CODES kCodes
#define MV_OUTS kOuts
#define MV_ROWS kOneRow
#define NORM_ROWS kOneRow
#define NORM_DATA p.norm
#include "lib/norm_x.glsl"
#define MV_X(at, c) norm_x(at, c, x[c])
#define MV_X4(at, i) norm_x4(at, i, x4[i])
#include "lib/mat_vec.glsl"

// Computes u of channel e from v, the channel's new value, and from the tail of the channel.
// Appends v to the tail.
float convolve(const uint e, const float v) {
  const SegmentWords segment = step_.segments[0];
  const uint from = segment.slot * p.slot_stride + segment.read_version * p.version_stride + e;
  const uint to = segment.slot * p.slot_stride + segment.write_version * p.version_stride + e;
  const bool begins = segment.position == 0;
  const bool keeps = segment.keeps_state != 0;
  float sum = kHasConvBias ? Floats(p.conv_bias).at[e] : 0.0;
  for (uint k = 0; k < p.d_conv; ++k) {
    float row = v;
    if (k + 1 < p.d_conv) {
      row = 0.0;
      if (!begins) row = tail[from + k * p.d_inner];
    }
    // Row k of the old tail has been read before row k-1 of the new tail is written. So both tails
    // may be the same memory (`from` may equal `to`).
    if (k > 0 && keeps) tail[to + (k - 1) * p.d_inner] = row;
    sum += weight_at(p.conv_weight, kConvForm, e * p.d_conv + k) * row;
  }
  return silu(sum);
}

// Computes outputs first, first + 1, ... `channel` is the first channel of the workgroup.
void compute(const uint first, const uint n_out, const uint channel) {
  clear_norm();
  mat_vec_clear();
  mat_vec_add(p.in_proj, kForm, 0, p.d_model, first, n_out, 0, 1);
  mat_vec_scale(0, norm_factor(0, p.d_model, p.eps));
  mat_vec_sum();
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) {
    const uint i = mat_vec_sum_index(j);
    const uint o = first + i;
    if (i >= kOuts || o >= n_out) continue;
    float value = mv_acc[j];
    if (kHasBias) value += Floats(p.in_bias).at[o];
    if (o < p.d_inner) {
      value = convolve(o, value);
      u[o] = value;
      if (kHasParams) u_of_group[o - channel] = value;
    } else {
      z[o - p.d_inner] = value;
    }
  }
}

// Adds the products of the second weight with the channels of this workgroup, `n_of_group` or fewer
// from `channel` on. All invocations must call this function, in uniform control flow.
void add_params(const uint channel, const uint n_of_group) {
  barrier();  // u_of_group is complete
  const uint n = min(n_of_group, p.d_inner - channel);
  const uint me = gl_LocalInvocationIndex;
  for (uint o = me; o < p.n_params; o += gl_WorkGroupSize.x) {
    float sum = 0.0;
    for (uint e = 0; e < n; ++e)
      sum += weight_at(p.params, kParamsForm, o * p.d_inner + channel + e) * u_of_group[e];
    sums[gl_WorkGroupID.x * p.n_params + o] = sum;
  }
  const uint n_groups = (p.d_inner + n_of_group - 1) / n_of_group;
  uint first, n_sums;
  if (!have_team_sums(gl_WorkGroupID.x, n_groups, p.n_params, first, n_sums)) return;
  for (uint o = me; o < p.n_params; o += gl_WorkGroupSize.x)
    params[o] = sum_of_arrays(first, n_sums, p.n_params, o);
}

void main() {
  load_codebook(p.in_proj, kForm, 0);
  codebook_barrier();
  const uint n_out = 2 * p.d_inner;
  const uint n_of_group = gl_NumSubgroups * kOuts;
  const uint channel = gl_WorkGroupID.x * n_of_group;
  const uint first = channel + gl_SubgroupID * kOuts;
  if (first < n_out) compute(first, n_out, channel);  // uniform in the subgroup
  if (kHasParams && channel < p.d_inner) add_params(channel, n_of_group);
}
