// The parameters of a sampler as kernels read them.
#pragma once

#include "bitaxon/sampler_params.h"
#include "core/step.h"

namespace bitaxon {

/// `params` must be valid (SamplerParams::validate).
SamplerWords sampler_words(const SamplerParams& params);

}  // namespace bitaxon
