#include "template/integer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "template/limits.h"

namespace bitaxon::jinja {
namespace {

constexpr std::size_t kMaxLimbs = 512;  // 16,384 bits
constexpr std::size_t kMaxDigits = 4300;

void trim(std::vector<std::uint32_t>& limbs) {
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
}

/// limbs = limbs * factor + addend
void multiply_add(std::vector<std::uint32_t>& limbs, std::uint32_t factor, std::uint32_t addend) {
  std::uint64_t carry = addend;
  for (std::uint32_t& limb : limbs) {
    carry += std::uint64_t{limb} * factor;
    limb = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
  if (limbs.size() > kMaxLimbs) throw Fault("expected an integer of at most 16384 bits, got more");
}

/// limbs = limbs / divisor; returns the remainder.
std::uint32_t divide_small(std::vector<std::uint32_t>& limbs, std::uint32_t divisor) {
  std::uint64_t rest = 0;
  for (std::size_t i = limbs.size(); i-- > 0;) {
    rest = rest << 32 | limbs[i];
    limbs[i] = static_cast<std::uint32_t>(rest / divisor);
    rest %= divisor;
  }
  trim(limbs);
  return static_cast<std::uint32_t>(rest);
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

}  // namespace

Integer::Big Integer::wide() const {
  if (big_) return *big_;
  Big result{small_ < 0, {}};
  std::uint64_t magnitude = static_cast<std::uint64_t>(small_);
  if (small_ < 0) magnitude = ~magnitude + 1;
  for (; magnitude != 0; magnitude >>= 32)
    result.limbs.push_back(static_cast<std::uint32_t>(magnitude));
  return result;
}

Integer Integer::narrow(Big value) {
  trim(value.limbs);
  if (value.limbs.size() > kMaxLimbs)
    throw Fault("expected an integer of at most 16384 bits, got more");
  if (value.limbs.size() <= 2) {
    std::uint64_t magnitude = 0;
    for (std::size_t i = value.limbs.size(); i-- > 0;) magnitude = magnitude << 32 | value.limbs[i];
    const std::uint64_t most = std::uint64_t{1} << 63;
    if (magnitude < most || (magnitude == most && value.negative))
      return Integer(static_cast<std::int64_t>(value.negative ? ~magnitude + 1 : magnitude));
  }
  count_steps(value.limbs.size() / 8);
  Integer result;
  result.big_ = std::make_shared<const Big>(std::move(value));
  return result;
}

Integer Integer::of_double(double value) {
  int exponent = 0;
  const double fraction = std::frexp(std::trunc(value), &exponent);
  if (exponent <= 62) return Integer(static_cast<std::int64_t>(std::trunc(value)));
  const auto mantissa = static_cast<std::int64_t>(std::ldexp(fraction, 53));
  return Integer(mantissa) * power(Integer(2), Integer(exponent - 53));
}

std::optional<Integer> Integer::of_digits(std::string_view digits, unsigned base) {
  if (digits.empty()) return std::nullopt;
  Big value;
  count_steps(digits.size() * digits.size() / 1024 + 1);
  for (const char c : digits) {
    const int digit = digit_value(c);
    if (digit >= static_cast<int>(base)) return std::nullopt;
    multiply_add(value.limbs, base, static_cast<std::uint32_t>(digit));
    trim(value.limbs);
  }
  return narrow(std::move(value));
}

std::optional<std::int64_t> Integer::small() const {
  if (big_) return std::nullopt;
  return small_;
}

std::int64_t Integer::clamped() const {
  using Limits = std::numeric_limits<std::int64_t>;
  if (!big_) return small_;
  return big_->negative ? Limits::min() : Limits::max();
}

double Integer::to_double() const {
  if (!big_) return static_cast<double>(small_);
  // The highest 64 bits with a sticky bit for the rest give the nearest float: a float has 53 bits.
  const std::int64_t bits = bit_length();
  std::uint64_t top = 0;
  bool rest = false;
  for (std::int64_t i = bits - 1; i >= 0; --i) {
    const bool bit = (big_->limbs[static_cast<std::size_t>(i / 32)] >> (i % 32) & 1) != 0;
    if (bits - 1 - i < 63)
      top = top << 1 | (bit ? 1U : 0U);
    else
      rest = rest || bit;
  }
  top = top << 1 | (rest ? 1U : 0U);
  const double value = std::ldexp(static_cast<double>(top), static_cast<int>(bits - 64));
  if (std::isinf(value)) throw Fault("int too large to convert to float");
  return big_->negative ? -value : value;
}

std::string Integer::text(unsigned base) const {
  Big value = wide();
  std::string digits;
  count_steps(value.limbs.size() * value.limbs.size() / 8);
  while (!value.limbs.empty()) {
    const std::uint32_t digit = divide_small(value.limbs, base);
    digits += "0123456789abcdefghijklmnopqrstuvwxyz"[digit];
  }
  if (base == 10 && digits.size() > kMaxDigits)
    throw Fault("Exceeds the limit (4300 digits) for integer string conversion");
  if (digits.empty()) digits += '0';
  if (value.negative) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::int64_t Integer::bit_length() const {
  const Big value = wide();
  if (value.limbs.empty()) return 0;
  std::int64_t bits = static_cast<std::int64_t>(value.limbs.size() - 1) * 32;
  for (std::uint32_t top = value.limbs.back(); top != 0; top >>= 1) ++bits;
  return bits;
}

int Integer::compare_limbs(const Limbs& a, const Limbs& b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  for (std::size_t i = a.size(); i-- > 0;)
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  return 0;
}

Integer::Limbs Integer::add_limbs(const Limbs& a, const Limbs& b) {
  Limbs sum(std::max(a.size(), b.size()) + 1);
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    carry += (i < a.size() ? a[i] : 0ULL) + (i < b.size() ? b[i] : 0ULL);
    sum[i] = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  trim(sum);
  return sum;
}

/// a - b, where a is not less than b.
Integer::Limbs Integer::subtract_limbs(const Limbs& a, const Limbs& b) {
  Limbs difference(a.size());
  std::int64_t borrow = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    borrow += std::int64_t{a[i]} - (i < b.size() ? std::int64_t{b[i]} : 0);
    difference[i] = static_cast<std::uint32_t>(borrow);
    borrow >>= 32;
  }
  trim(difference);
  return difference;
}

Integer Integer::operator-() const {
  Big value = wide();
  value.negative = !value.negative;
  return narrow(std::move(value));
}

Integer operator+(const Integer& a, const Integer& b) {
  std::int64_t sum = 0;
  if (!a.big_ && !b.big_ && !__builtin_add_overflow(a.small_, b.small_, &sum)) return Integer(sum);
  const Integer::Big left = a.wide(), right = b.wide();
  if (left.negative == right.negative)
    return Integer::narrow({left.negative, Integer::add_limbs(left.limbs, right.limbs)});
  if (Integer::compare_limbs(left.limbs, right.limbs) >= 0)
    return Integer::narrow({left.negative, Integer::subtract_limbs(left.limbs, right.limbs)});
  return Integer::narrow({right.negative, Integer::subtract_limbs(right.limbs, left.limbs)});
}

Integer operator-(const Integer& a, const Integer& b) {
  std::int64_t difference = 0;
  if (!a.big_ && !b.big_ && !__builtin_sub_overflow(a.small_, b.small_, &difference))
    return Integer(difference);
  return a + -b;
}

Integer operator*(const Integer& a, const Integer& b) {
  std::int64_t product = 0;
  if (!a.big_ && !b.big_ && !__builtin_mul_overflow(a.small_, b.small_, &product))
    return Integer(product);
  const Integer::Big left = a.wide(), right = b.wide();
  count_steps(left.limbs.size() * right.limbs.size() / 8);
  Integer::Limbs limbs(left.limbs.size() + right.limbs.size());
  for (std::size_t i = 0; i < left.limbs.size(); ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; j < right.limbs.size() || carry != 0; ++j) {
      carry += limbs[i + j];
      if (j < right.limbs.size()) carry += std::uint64_t{left.limbs[i]} * right.limbs[j];
      limbs[i + j] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
  }
  return Integer::narrow({left.negative != right.negative, std::move(limbs)});
}

Integer::Division Integer::divide(const Integer& a, const Integer& b) {
  const Big left = a.wide(), right = b.wide();
  Big quotient, rest;
  if (right.limbs.size() == 1) {
    quotient.limbs = left.limbs;
    rest.limbs = {divide_small(quotient.limbs, right.limbs[0])};
  } else {
    // Bit by bit. Integers are short, so this is fast enough.
    count_steps(left.limbs.size() * left.limbs.size());
    quotient.limbs.resize(left.limbs.size());
    for (std::size_t i = left.limbs.size() * 32; i-- > 0;) {
      multiply_add(rest.limbs, 2, left.limbs[i / 32] >> (i % 32) & 1);
      trim(rest.limbs);
      if (compare_limbs(rest.limbs, right.limbs) < 0) continue;
      rest.limbs = subtract_limbs(rest.limbs, right.limbs);
      quotient.limbs[i / 32] |= std::uint32_t{1} << (i % 32);
    }
  }
  quotient.negative = left.negative != right.negative;
  rest.negative = left.negative;
  Division result{narrow(std::move(quotient)), narrow(std::move(rest))};
  // The division above rounds towards zero; Python rounds down.
  if (!result.remainder.is_zero() && left.negative != right.negative) {
    result.quotient = result.quotient - Integer(1);
    result.remainder = result.remainder + b;
  }
  return result;
}

Integer Integer::power(const Integer& base, const Integer& exponent) {
  if (exponent.is_zero() || base == Integer(1)) return Integer(1);
  if (base.is_zero()) return base;
  if (base == Integer(-1)) return exponent.is_odd() ? base : Integer(1);
  const std::optional<std::int64_t> small = exponent.small();
  if (!small || *small > std::int64_t{kMaxLimbs} * 32)
    throw Fault("expected an integer of at most 16384 bits, got more");
  Integer result(1), factor = base;
  for (std::int64_t rest = *small; rest != 0; rest >>= 1) {
    if ((rest & 1) != 0) result = result * factor;
    if (rest > 1) factor = factor * factor;
  }
  return result;
}

int Integer::compare(const Integer& a, const Integer& b) {
  if (!a.big_ && !b.big_) return a.small_ < b.small_ ? -1 : a.small_ > b.small_ ? 1 : 0;
  if (a.is_negative() != b.is_negative()) return a.is_negative() ? -1 : 1;
  const int order = compare_limbs(a.wide().limbs, b.wide().limbs);
  return a.is_negative() ? -order : order;
}

}  // namespace bitaxon::jinja
