#include "core/half.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace bitaxon {
namespace {

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

/// Visits floats with every value of the upper 16 bits. The lower 16 bits are those at which
/// rounding to 10 or to 7 mantissa bits changes, and their neighbors.
template <typename Visit>
void for_floats_around_every_rounding_point(Visit&& visit) {
  for (std::uint32_t upper = 0; upper < 0x10000u; ++upper)
    for (const std::uint32_t lower :
         {0x0000u, 0x0001u, 0x0fffu, 0x1000u, 0x1001u, 0x1fffu, 0x2000u, 0x3000u, 0x7fffu, 0x8000u,
          0x8001u, 0xefffu, 0xf000u, 0xffffu})
      visit(std::bit_cast<float>(upper << 16 | lower));
}

TEST(Half, WidensEveryFloat16Exactly) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float widened = f16_to_f32(half);
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const int mantissa = static_cast<int>(bits & 0x3ff);
    const float sign = bits & 0x8000u ? -1.0f : 1.0f;
    if (exponent == 31 && mantissa != 0) {
      ASSERT_TRUE(std::isnan(widened)) << bits;
      ASSERT_EQ(bits_of(widened) >> 13 & 0x3ff, bits & 0x3ff) << "payload of " << bits;
      continue;
    }
    const float expected = exponent == 31 ? std::numeric_limits<float>::infinity()
                           : exponent == 0
                               ? std::ldexp(static_cast<float>(mantissa), -24)
                               : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
    ASSERT_EQ(bits_of(widened), bits_of(std::copysign(expected, sign))) << bits;
    ASSERT_EQ(bits_of(widened),
              bits_of(static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(half))));
    ASSERT_EQ(f32_to_f16(widened), half);
  }
}

TEST(Half, WidensEveryBfloat16Exactly) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float widened = bf16_to_f32(half);
    ASSERT_EQ(bits_of(widened), bits << 16);
    if (std::isnan(widened))
      ASSERT_EQ(f32_to_bf16(widened), bits | 0x40) << "a NaN becomes quiet";
    else
      ASSERT_EQ(f32_to_bf16(widened), half);
  }
}

TEST(Half, RoundsToFloat16LikeEigen) {
  for_floats_around_every_rounding_point([](float value) {
    const std::uint16_t got = f32_to_f16(value);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(f16_to_f32(got))) << std::hex << bits_of(value);
      ASSERT_EQ(std::signbit(f16_to_f32(got)), std::signbit(value));
    } else {
      ASSERT_EQ(got, Eigen::numext::bit_cast<std::uint16_t>(Eigen::half(value)))
          << std::hex << bits_of(value);
    }
  });
}

TEST(Half, RoundsToBfloat16LikeEigen) {
  for_floats_around_every_rounding_point([](float value) {
    const std::uint16_t got = f32_to_bf16(value);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(bf16_to_f32(got))) << std::hex << bits_of(value);
      ASSERT_EQ(std::signbit(bf16_to_f32(got)), std::signbit(value));
    } else {
      ASSERT_EQ(got, Eigen::numext::bit_cast<std::uint16_t>(Eigen::bfloat16(value)))
          << std::hex << bits_of(value);
    }
  });
}

TEST(Half, RoundsTheEdgesOfFloat16) {
  EXPECT_EQ(f32_to_f16(65504.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(std::nextafter(65520.0f, 0.0f)), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00) << "half a step above the largest number gives infinity";
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::max()), 0x7c00);
  EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(f32_to_f16(0x1p-24f), 0x0001);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0x0000) << "a tie goes to even";
  EXPECT_EQ(f32_to_f16(0x1.8p-24f), 0x0002) << "a tie goes to even";
  EXPECT_EQ(f32_to_f16(-0.0f), 0x8000);
  EXPECT_EQ(f32_to_f16(0x1.ffbfp-15f), 0x03ff);
  EXPECT_EQ(f32_to_f16(0x1.ffcp-15f), 0x0400) << "rounds up to a normal number";
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

}  // namespace
}  // namespace bitaxon
