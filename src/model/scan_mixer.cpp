#include "model/block.h"

namespace bitaxon {
namespace {

/// The bounds of the time step. The original program clips to them, so they are part of the model.
constexpr TimeStepClip kTimeStepClip{1e-4F, 100.0F};

}  // namespace

Tensor scan_mixer(const BlockContext& context, const Tensor& x) {
  const auto [u, z] = ssm_in(x,
                             {.norm = context.weight(WeightId::mixer_norm),
                              .in_proj = context.weight(WeightId::scan_in),
                              .conv_weight = context.weight(WeightId::conv_taps),
                              .conv_bias = context.weight(WeightId::conv_bias)},
                             context.eps(), context.state(context.state_index.conv_tail));
  const Tensor bcr = linear(u, context.weight(WeightId::scan_params));
  const Tensor y = selective_scan(u, bcr, {}, z,
                                  {.dt_weight = context.weight(WeightId::dt_weight),
                                   .dt_bias = context.weight(WeightId::dt_bias),
                                   .a_log = context.weight(WeightId::a_log),
                                   .skip = context.weight(WeightId::skip)},
                                  {.clip = kTimeStepClip}, context.state(context.state_index.h));
  return linear(y, context.weight(WeightId::scan_out), {.residual = x});
}

}  // namespace bitaxon
