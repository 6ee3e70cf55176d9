// Integers beyond 64 bits.
#include "template/integer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "template/limits.h"

namespace bitaxon::jinja {
namespace {

Integer read(std::string_view digits) {
  const bool negative = digits.starts_with('-');
  const Integer value = *Integer::of_digits(digits.substr(negative ? 1 : 0), 10);
  return negative ? -value : value;
}

TEST(Integer, CrossesTheLimitsOf64Bits) {
  const Integer most(INT64_MAX), least(INT64_MIN);
  EXPECT_EQ((most + Integer(1)).text(), "9223372036854775808");
  EXPECT_EQ((least - Integer(1)).text(), "-9223372036854775809");
  EXPECT_EQ((-least).text(), "9223372036854775808");
  EXPECT_EQ((most * most).text(), "85070591730234615847396907784232501249");
  EXPECT_EQ((most + Integer(1) - Integer(1)).small(), INT64_MAX);
  EXPECT_FALSE((most + Integer(1)).small());
  EXPECT_EQ((least * Integer(-1)).text(), "9223372036854775808");
}

TEST(Integer, DividesDownwards) {
  const auto check = [](std::string_view a, std::string_view b, std::string_view quotient,
                        std::string_view remainder) {
    const Integer::Division result = Integer::divide(read(a), read(b));
    EXPECT_EQ(result.quotient.text(), quotient) << a << " / " << b;
    EXPECT_EQ(result.remainder.text(), remainder) << a << " / " << b;
  };
  check("7", "2", "3", "1");
  check("-7", "2", "-4", "1");
  check("7", "-2", "-4", "-1");
  check("-7", "-2", "3", "-1");
  check("123456789012345678901234567890", "987654321", "124999998873437499901", "574845669");
  check("-123456789012345678901234567890", "987654321098765432109", "-124999999",
        "137345679013625000001");
}

TEST(Integer, RecoversTheDividend) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    Integer a(static_cast<std::int64_t>(random())), b(static_cast<std::int64_t>(random()));
    for (std::uint64_t n = random() % 6; n > 0; --n)
      a = a * Integer(static_cast<std::int64_t>(random()));
    for (std::uint64_t n = random() % 4; n > 0; --n)
      b = b * Integer(static_cast<std::int64_t>(random()));
    const auto [quotient, remainder] = Integer::divide(a, b);
    EXPECT_EQ((quotient * b + remainder).text(), a.text());
    EXPECT_TRUE(remainder.is_zero() || remainder.is_negative() == b.is_negative());
    EXPECT_EQ(read(a.text()), a);
  }
}

TEST(Integer, BecomesTheNearestFloat) {
  EXPECT_EQ(read("9007199254740993").to_double(), 9007199254740992.0);
  EXPECT_EQ(read("9007199254740995").to_double(), 9007199254740996.0);
  EXPECT_EQ(read("123456789012345678901234567890").to_double(), 123456789012345678901234567890.0);
  EXPECT_EQ(Integer::of_double(1e300).to_double(), 1e300);
  EXPECT_EQ(Integer::of_double(-1e22).text(), "-10000000000000000000000");
  EXPECT_THROW(Integer::power(Integer(10), Integer(400)).to_double(), Fault);
}

TEST(Integer, HasALimit) {
  EXPECT_EQ(Integer::power(Integer(2), Integer(100)).text(), "1267650600228229401496703205376");
  EXPECT_THROW(Integer::power(Integer(2), Integer(20000)), Fault);
  EXPECT_THROW(Integer::power(Integer(10), Integer(4400)).text(), Fault);
  EXPECT_EQ(Integer::power(Integer(-1), Integer::power(Integer(10), Integer(50))).text(), "1");
}

TEST(Integer, ReadsAndWritesBases) {
  EXPECT_EQ(Integer::of_digits("ff", 16)->text(), "255");
  EXPECT_EQ(Integer(255).text(2), "11111111");
  EXPECT_EQ(Integer(-255).text(16), "-ff");
  EXPECT_FALSE(Integer::of_digits("12x", 10));
  EXPECT_FALSE(Integer::of_digits("", 10));
}

}  // namespace
}  // namespace bitaxon::jinja
