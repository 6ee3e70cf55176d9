#include "bitaxon/sampler_params.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bitaxon/error.h"
#include "model/sampler_words.h"

namespace bitaxon {
namespace {

/// The fraction as a number of 2^-32: round(fraction * 2^32).
std::uint64_t q32(double fraction) {
  return static_cast<std::uint64_t>(std::llround(fraction * 0x1p32));
}

}  // namespace

SamplerStructure SamplerParams::structure() const {
  return {.penalty = repetition_penalty != 1, .draw = temperature != 0};
}

void SamplerParams::validate() const {
  const auto check = [](bool in_range, const char* name, const char* range, double got) {
    if (!in_range)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("{}: expected {}, got {}", name, range, got));
  };
  // Each condition says that the value is in range, so NaN fails every condition.
  check(temperature >= 0 && std::isfinite(temperature), "temperature", "a number >= 0",
        temperature);
  check(top_k >= 0, "top-k", "a whole number >= 0", static_cast<double>(top_k));
  check(top_p >= 0 && top_p <= 1, "top-p", "a number from 0 to 1", top_p);
  check(min_p >= 0 && min_p <= 1, "min-p", "a number from 0 to 1", min_p);
  // The kernels use the penalty in float32.
  const auto penalty = static_cast<float>(repetition_penalty);
  check(penalty > 0 && std::isfinite(penalty), "repetition-penalty", "a number > 0 within float32",
        repetition_penalty);
}

SamplerWords sampler_words(const SamplerParams& params) {
  SamplerWords words;
  // A temperature too small for float32 becomes 0, which means argmax. Sampling comes close to
  // argmax as the temperature goes to 0.
  words.temperature = static_cast<float>(params.temperature);
  words.repetition_penalty = static_cast<float>(params.repetition_penalty);
  words.top_k = static_cast<std::uint32_t>(std::min<std::int64_t>(params.top_k, UINT32_MAX));
  words.use_top_p = params.top_p < 1 ? 1 : 0;
  words.top_p_q32 = U64Words::of(q32(params.top_p));
  words.min_p_q32 = U64Words::of(q32(params.min_p));
  words.seed = U64Words::of(params.seed);
  return words;
}

}  // namespace bitaxon
