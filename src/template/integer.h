// Integers of any size, as Python has them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitaxon::jinja {

/// An integer. Python refuses to print integers of more than 4,300 digits. Integers here end at
/// 16,384 bits, which is a little more.
class Integer {
 public:
  Integer() = default;
  Integer(std::int64_t value) : small_(value) {}  // NOLINT: an implicit conversion is wanted
  /// The integer of a finite float, cut off towards zero.
  static Integer of_double(double value);
  /// Reads digits of a base from 2 to 36, without a sign. Empty if a character is no digit.
  static std::optional<Integer> of_digits(std::string_view digits, unsigned base);

  bool is_negative() const { return big_ ? big_->negative : small_ < 0; }
  bool is_zero() const { return !big_ && small_ == 0; }
  bool is_odd() const { return big_ ? (big_->limbs[0] & 1) != 0 : (small_ & 1) != 0; }
  /// The value if it fits into 64 bits.
  std::optional<std::int64_t> small() const;
  /// The value, or the nearest of the two ends of the range of 64 bits.
  std::int64_t clamped() const;
  /// The nearest float. Throws Fault if it is beyond the range of float.
  double to_double() const;
  /// The digits in `base` with a sign. Throws Fault beyond 4,300 decimal digits.
  std::string text(unsigned base = 10) const;
  std::int64_t bit_length() const;

  Integer operator-() const;
  friend Integer operator+(const Integer& a, const Integer& b);
  friend Integer operator-(const Integer& a, const Integer& b);
  friend Integer operator*(const Integer& a, const Integer& b);
  /// The quotient, rounded down, and the remainder, which has the sign of `b`. `b` must not be 0.
  struct Division;
  static Division divide(const Integer& a, const Integer& b);
  /// `exponent` must not be negative.
  static Integer power(const Integer& base, const Integer& exponent);
  /// Negative, zero or positive, as a is less than, equal to or greater than b.
  static int compare(const Integer& a, const Integer& b);
  friend bool operator==(const Integer& a, const Integer& b) { return compare(a, b) == 0; }

 private:
  using Limbs = std::vector<std::uint32_t>;  // the lowest limb first, no zero limb at the end
  struct Big {
    bool negative = false;
    Limbs limbs;
  };
  Big wide() const;
  static Integer narrow(Big value);
  static int compare_limbs(const Limbs& a, const Limbs& b);
  static Limbs add_limbs(const Limbs& a, const Limbs& b);
  static Limbs subtract_limbs(const Limbs& a, const Limbs& b);

  std::int64_t small_ = 0;
  std::shared_ptr<const Big> big_;  ///< set if the value does not fit into 64 bits
};

struct Integer::Division {
  Integer quotient;
  Integer remainder;
};

}  // namespace bitaxon::jinja
