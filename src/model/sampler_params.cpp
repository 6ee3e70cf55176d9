#include "bitaxon/sampler_params.h"

#include <fmt/format.h>

#include <cmath>

#include "bitaxon/error.h"

namespace bitaxon {

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

}  // namespace bitaxon
