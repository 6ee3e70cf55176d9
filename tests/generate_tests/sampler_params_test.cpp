// Tests of the valid ranges of the sampler parameters.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "bitaxon/model.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kTiny = std::numeric_limits<double>::denorm_min();

void expect_refused(double SamplerParams::*member, const char* name,
                    std::initializer_list<double> values) {
  for (const double value : values) {
    SamplerParams params;
    params.*member = value;
    expect_error([&] { params.validate(); }, ErrorKind::invalid_argument,
                 {name, "expected", fmt::format("got {}", value)});
  }
}

void expect_accepted(double SamplerParams::*member, std::initializer_list<double> values) {
  for (const double value : values) {
    SamplerParams params;
    params.*member = value;
    EXPECT_NO_THROW(params.validate()) << value;
  }
}

TEST(SamplerParams, AcceptsOnlyValuesInRange) {
  EXPECT_NO_THROW(SamplerParams().validate());
  expect_accepted(&SamplerParams::temperature, {0, -0.0, kTiny, 1, 1e300});
  expect_refused(&SamplerParams::temperature, "temperature",
                 {-kTiny, -1, kNan, -kNan, kInf, -kInf});
  expect_accepted(&SamplerParams::top_p, {0, kTiny, 0.5, 1});
  expect_refused(&SamplerParams::top_p, "top-p", {-kTiny, 1.0000000001, 2, kNan, kInf, -kInf});
  expect_accepted(&SamplerParams::min_p, {0, kTiny, 0.5, 1});
  expect_refused(&SamplerParams::min_p, "min-p", {-kTiny, 1.0000000001, 2, kNan, kInf, -kInf});
  expect_accepted(&SamplerParams::repetition_penalty, {0.5, 1, 2, 1e30});
  expect_refused(&SamplerParams::repetition_penalty, "repetition-penalty",
                 {0, -0.0, -1, kNan, kInf, -kInf});
  SamplerParams params;
  for (const std::int64_t top_k : {std::int64_t{0}, std::int64_t{1}, INT64_MAX}) {
    params.top_k = top_k;
    EXPECT_NO_THROW(params.validate());
  }
  params.top_k = -1;
  expect_error([&] { params.validate(); }, ErrorKind::invalid_argument, {"top-k", "got -1"});
}

TEST(SamplerParams, ChoosesTheNeededStages) {
  SamplerParams params;
  EXPECT_EQ(params.structure(), (SamplerStructure{.penalty = false, .draw = true}));
  params.temperature = 0;
  params.repetition_penalty = 0.9;
  EXPECT_EQ(params.structure(), (SamplerStructure{.penalty = true, .draw = false}));
}

}  // namespace
}  // namespace bitaxon::test
