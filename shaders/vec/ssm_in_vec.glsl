// ssm_in for a step of a few rows: product, convolution and new tail in one dispatch.
//   v, z = split(in_proj @ n(x) + in_bias);  n(x)[c] = norm[c] * x[c] / sqrt(mean(x^2) + eps), or x[c]
//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e])
//     The rows of v before the first row of a segment are the rows of its tail.
//   new tail = the last K-1 rows of: the old tail, followed by v
// With a second weight, also the product that follows:
//   params[r, o] = sum_e w[o, e] * u[r, e]
// A workgroup computes the part of each sum that belongs to its channels, and the last one adds up
// the parts (lib/team_sums.glsl).
//
// Bindings: step; x [R, D]; tail (the state) [K-1, E], oldest row first (any buffer when K is 1);
//   u [R, E]; z [R, E]; with a second weight: params [R, P], sums [workgroups + teams, ROWS * P], and
//   counters [teams + 1]
// A subgroup computes OUTS outputs of ROWS rows, for OUTS of the 2E rows of in_proj. The first E rows
// give v, the other E rows give z. Grid: x over outputs. One lane does all the work of a channel, so
// the new tail may overwrite the old tail. Requires whole subgroups, and ROWS rows or fewer.
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
layout(constant_id = BX_SSM_IN_VEC_ROWS) const uint kRows = 1;
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
const uint kMostOuts = gl_WorkGroupSize.x / 4 * kOuts;  // of a workgroup
shared float v_of_group[kMostOuts * kRows];
shared float u_of_group[kMostOuts * kRows];

#define CODEBOOKS FORM_HAS_CODEBOOK(kForm)
#define MV_CODES kCodes
#define MV_OUTS kOuts
#define MV_ROWS kRows
#define NORM_ROWS kRows
#define NORM_DATA p.norm
#include "lib/few_rows.glsl"
#include "lib/mat_vec.glsl"

// Row r of v in channel e of a segment. Rows before the segment come from its tail, whose channel
// begins at `tail_at`. `v_at` is the place of the channel's first row in v_of_group.
float row_of_v(const SegmentWords segment, const uint v_at, const uint tail_at, const int r) {
  if (r >= 0) return v_of_group[v_at + segment.first_row + uint(r)];
  if (segment.position == 0) return 0.0;
  return tail[tail_at + uint(r + int(p.d_conv) - 1) * p.d_inner];
}

// Computes u of channel e for all rows of a segment, and its new tail. `i` is the number of the
// channel in the workgroup.
void convolve(const SegmentWords segment, const uint e, const uint i) {
  const uint v_at = i * kRows;
  const uint from = segment.slot * p.slot_stride + segment.read_version * p.version_stride + e;
  const uint to = segment.slot * p.slot_stride + segment.write_version * p.version_stride + e;
  const int n_before = int(p.d_conv) - 1;
  for (uint r = 0; r < segment.n_rows; ++r) {
    float sum = kHasConvBias ? Floats(p.conv_bias).at[e] : 0.0;
    for (uint k = 0; k < p.d_conv; ++k)
      sum += weight_at(p.conv_weight, kConvForm, e * p.d_conv + k) *
             row_of_v(segment, v_at, from, int(r + k) - n_before);
    const uint row = segment.first_row + r;
    u[row * p.d_inner + e] = silu(sum);
    if (kHasParams) u_of_group[v_at + row] = silu(sum);
  }
  if (segment.keeps_state == 0) return;
  // Ascending rows: both tails may be the same memory, and a row of the old tail is read before it is
  // overwritten.
  for (int j = 0; j < n_before; ++j)
    tail[to + uint(j) * p.d_inner] =
        row_of_v(segment, v_at, from, int(segment.n_rows) - n_before + j);
}

// Computes outputs first, first + 1, ... `channel` is the first channel of the workgroup.
void compute(const uint first, const uint n_out, const uint channel) {
  clear_norm();
  mat_vec_clear();
  mat_vec_add(p.in_proj, kForm, 0, p.d_model, first, n_out, 0, 1);
  norm_sum();
  for (uint r = 0; r < kRows; ++r) mat_vec_scale(r, norm_factor(r, p.d_model, p.eps));
  mat_vec_sum();
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) {
    const uint i = mat_vec_sum_index(j);
    const uint o = first + i / kRows;
    const uint r = i % kRows;
    if (i < kOuts * kRows && o < n_out && r < step_.n_rows) {
      float value = mv_acc[j];
      if (kHasBias) value += Floats(p.in_bias).at[o];
      if (o < p.d_inner)
        v_of_group[(o - channel) * kRows + r] = value;
      else
        z[r * p.d_inner + o - p.d_inner] = value;
    }
  }
  subgroupMemoryBarrierShared();
  subgroupBarrier();
  for (uint i = gl_SubgroupInvocationID; i < kOuts; i += gl_SubgroupSize) {
    const uint e = first + i;
    if (e >= p.d_inner) break;
    for (uint g = 0; g < step_.n_segments; ++g) convolve(step_.segments[g], e, e - channel);
  }
}

// Adds the products of the second weight with the channels of this workgroup, `n_of_group` or fewer
// from `channel` on. All invocations must call this function, in uniform control flow.
void add_params(const uint channel, const uint n_of_group) {
  barrier();  // u_of_group is complete
  const uint n = min(n_of_group, p.d_inner - channel);
  const uint n_numbers = kRows * p.n_params;
  const uint me = gl_LocalInvocationIndex;
  for (uint o = me; o < p.n_params; o += gl_WorkGroupSize.x) {
    float sum[kRows];
    for (uint r = 0; r < kRows; ++r) sum[r] = 0.0;
    for (uint e = 0; e < n; ++e) {
      const float w = weight_at(p.params, kParamsForm, o * p.d_inner + channel + e);
      // The sums of rows that the step does not have may be any numbers.
      for (uint r = 0; r < kRows; ++r) sum[r] += w * u_of_group[e * kRows + r];
    }
    for (uint r = 0; r < kRows; ++r) sums[gl_WorkGroupID.x * n_numbers + r * p.n_params + o] = sum[r];
  }
  const uint n_groups = (p.d_inner + n_of_group - 1) / n_of_group;
  uint first, n_sums;
  if (!have_team_sums(gl_WorkGroupID.x, n_groups, n_numbers, first, n_sums)) return;
  for (uint i = me; i < step_.n_rows * p.n_params; i += gl_WorkGroupSize.x)
    params[i] = sum_of_arrays(first, n_sums, n_numbers, i);
}

void main() {
  find_rows();
  load_codebook(p.in_proj, kForm, 0);
  codebook_barrier();
  const uint n_out = 2 * p.d_inner;
  const uint n_of_group = gl_NumSubgroups * kOuts;
  const uint channel = gl_WorkGroupID.x * n_of_group;
  const uint first = channel + gl_SubgroupID * kOuts;
  if (kWholeGroups || first < n_out) compute(first, n_out, channel);  // uniform in the subgroup
  if (kHasParams && channel < p.d_inner) add_params(channel, n_of_group);
}
