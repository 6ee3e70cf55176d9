// log_probs[output_rows[o]] = log softmax(logits[o])[label], label = ids[o]
// g_logits[o, v] = factors[output_rows[o]] * (softmax(logits[o])[v] - (v == label))
//
// Bindings: step; logits [O, n_cols]; factors, log_probs [capacity]; g_logits [O, n_cols]
// A workgroup computes one output. Grid: x over valid outputs. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/group_max.glsl"
#include "lib/group_sum.glsl"
#include "lib/math.glsl"
#include "lib/step.glsl"
#include "params/cross_entropy.h"

layout(local_size_x_id = BX_CROSS_ENTROPY_GROUP_SIZE) in;

layout(set = 0, binding = 1, scalar) readonly restrict buffer Logits { float logits[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer Factors { float factors[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer LogProbs { float log_probs[]; };
layout(set = 0, binding = 4, scalar) writeonly restrict buffer GLogits { float g_logits[]; };
layout(push_constant, scalar) uniform Push { CrossEntropyPush p; };

void compute(const uint o) {
  const uint row = step_.output_rows[o];
  const uint label = uint(step_.ids[o]);
  const uint from = (o - p.first_row) * p.n_cols;
  const float at_label = logits[from + label];
  float mine = at_label;
  for (uint v = gl_LocalInvocationID.x; v < p.n_cols; v += gl_WorkGroupSize.x)
    mine = max(mine, logits[from + v]);
  const float largest = group_max(mine);
  // The sum leaves out the label, so that it keeps its relative precision if the label has nearly
  // all of the probability.
  float sum = 0.0;
  for (uint v = gl_LocalInvocationID.x; v < p.n_cols; v += gl_WorkGroupSize.x)
    if (v != label) sum += exp_of(logits[from + v] - largest);
  const float others = group_sum(sum);
  const float total = others + exp_of(at_label - largest);
  const float factor = factors[row];
  for (uint v = gl_LocalInvocationID.x; v < p.n_cols; v += gl_WorkGroupSize.x)
    g_logits[from + v] =
        v == label ? -(factor * others / total)
                   : factor * exp_of(logits[from + v] - largest) / total;
  if (gl_LocalInvocationID.x == 0)
    log_probs[row] = at_label == largest ? -log1p_any(others)
                                         : (at_label - largest) - log_of(total);
}

void main() {
  const uint o = p.first_row + gl_WorkGroupID.x;
  if (o < min(p.end_row, step_.n_outputs)) compute(o);  // uniform in the workgroup
}
