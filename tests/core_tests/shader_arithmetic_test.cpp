// Tests the integer arithmetic in shaders/lib. These shader files are both GLSL and C++, and this
// test compiles them as C++. Integer results are the same on every device.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "cases/op_case.h"
#include "core/philox.h"

namespace bitaxon::test {
namespace glsl {

using uint = std::uint32_t;

struct uvec2 {
  uint x;
  uint y;
  constexpr uvec2(uint low, uint high) : x(low), y(high) {}
};

inline void umulExtended(uint a, uint b, uint& high, uint& low) {
  const std::uint64_t product = std::uint64_t{a} * b;
  high = static_cast<uint>(product >> 32);
  low = static_cast<uint>(product);
}
inline int findMSB(uint a) { return 31 - std::countl_zero(a); }
template <class T>
T min(T a, T b) {
  return a < b ? a : b;
}
template <class T>
T max(T a, T b) {
  return a > b ? a : b;
}

#include "lib/philox.glsl"
#include "lib/token_weight.glsl"

}  // namespace glsl

namespace {

__extension__ using Wide = unsigned __int128;

glsl::uvec2 words(std::uint64_t value) {
  return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
}
std::uint64_t value(const glsl::uvec2& a) { return std::uint64_t{a.y} << 32 | a.x; }

std::uint32_t bits(float a) { return std::bit_cast<std::uint32_t>(a); }
float of_bits(std::uint32_t a) { return std::bit_cast<float>(a); }

TEST(LengthyShaderArithmetic, ComputesWith64Bits) {
  Random random("shader/u64");
  const auto any = [&] {
    // Most numbers are small. To cause carries, all high bits of some numbers are 1, and some
    // numbers have two equal words.
    const std::uint64_t a = random.next() >> random.below(64);
    const std::int64_t kind = random.below(4);
    return kind == 0 ? ~a : kind == 1 ? a << 32 | (a & 0xFFFFFFFFU) : a;
  };
  for (int i = 0; i < 300'000; ++i) {
    const std::uint64_t a = any();
    const std::uint64_t b = any();
    ASSERT_EQ(value(glsl::u64_add(words(a), words(b))), a + b);
    ASSERT_EQ(value(glsl::u64_sub(words(a), words(b))), a - b);
    ASSERT_EQ(glsl::u64_less(words(a), words(b)), a < b);
    ASSERT_FALSE(glsl::u64_less(words(a), words(a)));
    ASSERT_EQ(value(glsl::u64_mul_high(words(a), words(b))),
              static_cast<std::uint64_t>(Wide{a} * b >> 64));
    const auto n = static_cast<std::uint32_t>(random.below(140));
    ASSERT_EQ(value(glsl::u64_shift_left(words(a), n)), n < 64 ? a << n : 0);
    ASSERT_EQ(value(glsl::u64_shift_right(words(a), n)), n < 64 ? a >> n : 0);
  }
}

TEST(LengthyShaderArithmetic, PhiloxEqualsTheHostImplementation) {
  Random random("shader/philox");
  for (int i = 0; i < 1000; ++i) {
    const U64Words low = U64Words::of(random.next());
    const U64Words high = U64Words::of(random.next());
    const U64Words key = U64Words::of(random.next());
    const auto expected = philox4x32({low.low, low.high, high.low, high.high}, {key.low, key.high});
    const glsl::PhiloxWords got =
        glsl::philox4x32_words({low.low, low.high}, {high.low, high.high}, {key.low, key.high});
    ASSERT_EQ((std::array{got.w0, got.w1, got.w2, got.w3}), expected);
    const auto first = philox4x32({low.low, low.high, 0, 0}, {key.low, key.high});
    const glsl::uvec2 two = glsl::philox4x32({low.low, low.high}, {key.low, key.high});
    ASSERT_EQ(two.x, first[0]);
    ASSERT_EQ(two.y, first[1]);
  }
}

void expect_same(const char* what, std::uint32_t a, std::uint32_t b, std::uint32_t got,
                 float expected) {
  const bool same = std::isnan(expected) ? got == glsl::kNanBits : got == bits(expected);
  ASSERT_TRUE(same) << fmt::format("{} of {:08x} and {:08x}: expected {:08x}, got {:08x}", what, a,
                                   b, bits(expected), got);
}

TEST(LengthyShaderArithmetic, FloatsRoundLikeTheProcessor) {
  constexpr std::uint32_t kSpecial[] = {
      0,          1,          2,          3,          0x007FFFFF, 0x00800000, 0x00800001,
      0x00FFFFFF, 0x01000000, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x40000000, 0x3FC00000,
      0x00400000, 0x7F000000, 0x7F7FFFFE, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000,
      0x33800000, 0x33800001, 0x34000000, 0x0B800000, 0x4B800000, 0x4B7FFFFF};
  const auto check = [](std::uint32_t a, std::uint32_t b) {
    expect_same("quotient", a, b, glsl::float_divide(a, b), of_bits(a) / of_bits(b));
    expect_same("product", a, b, glsl::float_multiply(a, b), of_bits(a) * of_bits(b));
  };
  for (const std::uint32_t a : kSpecial)
    for (const std::uint32_t b : kSpecial)
      for (const std::uint32_t signs : {0U, 1U, 2U, 3U})
        check(a | signs << 31, b | signs >> 1 << 31);
  Random random("shader/floats");
  const auto any = [&] { return static_cast<std::uint32_t>(random.next()); };
  for (int i = 0; i < 2'000'000 && !testing::Test::HasFatalFailure(); ++i) {
    check(any(), any());
    // Cases with results around the smallest normal numbers, then cases with exact halves.
    check(any() & 0x87FFFFFF, (any() & 0x807FFFFF) | 0x3F800000);
    check(any() & 0xFFFFF000, any() & 0xFFFFF000);
  }
}

TEST(LengthyShaderArithmetic, OrderKeysSortLikeTheirNumbers) {
  Random random("shader/keys");
  const auto any = [&] {
    const auto a = static_cast<std::uint32_t>(random.next());
    const std::int64_t kind = random.below(8);
    return kind == 0 ? a & 0x80000001 : kind == 1 ? (a & 0x80000000) | 0x7F800000 : a;
  };
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint32_t a = any();
    const std::uint32_t b = any();
    const std::uint32_t key = glsl::order_key(a);
    ASSERT_NE(key, 0U);
    if (std::isnan(of_bits(a))) {
      ASSERT_EQ(key, 0xFFFFFFFF);
      ASSERT_FALSE(glsl::key_is_finite(key));
      continue;
    }
    ASSERT_EQ(glsl::key_is_finite(key), std::isfinite(of_bits(a)));
    ASSERT_EQ(of_bits(glsl::of_order_key(key)), of_bits(a));
    if (std::isnan(of_bits(b))) continue;
    ASSERT_EQ(key < glsl::order_key(b), of_bits(a) < of_bits(b)) << of_bits(a) << " " << of_bits(b);
    ASSERT_EQ(key == glsl::order_key(b), of_bits(a) == of_bits(b));
  }
}

/// The weight of a token as a real number, before it is rounded to an integer.
long double exact_weight(float logit, float largest) {
  return std::exp(static_cast<long double>(logit) - static_cast<long double>(largest)) * 0x1p30L;
}

/// Expects that the shader's weight is the exact weight, rounded to an integer. If the exact weight
/// is within kBound of a half, the shader's weight may be off by 1.
void expect_weight(float logit, float largest, int* n_rounded_apart) {
  constexpr long double kBound = 0x1p-23L;
  const long double exact = exact_weight(logit, largest) + 0.5L;
  const auto got = static_cast<long double>(glsl::token_weight(bits(logit), bits(largest)));
  if (got == std::floor(exact)) return;
  ++*n_rounded_apart;
  ASSERT_TRUE(got == std::floor(exact - kBound) || got == std::floor(exact + kBound))
      << fmt::format("logit {}, largest {}: expected {}, got {}", logit, largest,
                     static_cast<double>(exact), static_cast<double>(got));
}

TEST(LengthyShaderArithmetic, WeightsAreExactlyRounded) {
  Random random("shader/weights");
  int n_rounded_apart = 0;
  constexpr int kRounds = 1'500'000;
  for (int i = 0; i < kRounds && !testing::Test::HasFatalFailure(); ++i) {
    // The differences cover the whole range. Depending on the offset, float32 represents a
    // difference exactly or not.
    const auto offset = static_cast<float>(
        std::ldexp(random.uniform(-1, 1), static_cast<int>(random.below(80)) - 40));
    const auto d = static_cast<float>(random.uniform(0, i % 2 == 0 ? 25 : 1));
    const float largest = std::max(offset, offset - d);
    const float logit = std::min(offset, offset - d);
    expect_weight(logit, largest, &n_rounded_apart);
    expect_weight(-d, 0, &n_rounded_apart);
  }
  EXPECT_LE(n_rounded_apart, 4) << "of " << 2 * kRounds;
}

TEST(LengthyShaderArithmetic, WeightsAreRightAtTheEdgesOfTheRange) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  const auto weight = [](float logit, float largest) {
    return glsl::token_weight(bits(logit), bits(largest));
  };
  for (const float largest : {0.0F, kTiny, -kTiny, 1.0F, -3.5F, 1e30F, -1e30F, kMax, -kMax}) {
    EXPECT_EQ(weight(largest, largest), 1U << 30);
    EXPECT_EQ(weight(-kInf, largest), 0U);
    if (largest > -kMax) {
      EXPECT_EQ(weight(-kMax, largest), 0U);
    }
  }
  EXPECT_EQ(weight(0, kTiny), 1U << 30);
  EXPECT_EQ(weight(-kTiny, kTiny), 1U << 30);
  EXPECT_EQ(weight(-1e-20F, 1e-30F), 1U << 30);
  EXPECT_EQ(weight(std::nextafter(kMax, 0.0F), kMax), 0U);
  int n_rounded_apart = 0;
  // First every power of two, once as the logit and once as the largest logit. Then differences d
  // around the point at which weights become 0: exp(-d) * 2^30 = 1/2.
  for (int e = -149; e < 128; ++e) {
    const float power = std::ldexp(1.0F, e);
    expect_weight(-power, 0, &n_rounded_apart);
    expect_weight(0, power, &n_rounded_apart);
    expect_weight(std::nextafter(power, 0.0F), power, &n_rounded_apart);
    expect_weight(power, std::nextafter(power, kInf), &n_rounded_apart);
    expect_weight(-power, power, &n_rounded_apart);
    expect_weight(power, power * 1.5F, &n_rounded_apart);
  }
  for (float d = 21.4F; d < 21.6F; d += 1e-5F) expect_weight(-d, 0, &n_rounded_apart);
  for (float d = 30; d < 70; d += 0.01F) EXPECT_EQ(weight(-d, 0), 0U);
  EXPECT_EQ(n_rounded_apart, 0);
}

TEST(LengthyShaderArithmetic, SmallerLogitsNeverHaveLargerWeights) {
  for (std::uint32_t i = 0; i < 1'000'000; ++i) {
    const std::uint32_t near = bits(-1.0F) + 3 * i;
    ASSERT_GE(glsl::token_weight(near, 0), glsl::token_weight(near + 1, 0)) << of_bits(near);
  }
}

}  // namespace
}  // namespace bitaxon::test
