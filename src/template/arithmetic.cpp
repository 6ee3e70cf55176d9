#include "template/arithmetic.h"

#include <fmt/format.h>

#include <cmath>

#include "template/formatting.h"
#include "template/numbers.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

std::string_view symbol(BinaryOp op) {
  switch (op) {
    case BinaryOp::add:
      return "+";
    case BinaryOp::subtract:
      return "-";
    case BinaryOp::multiply:
      return "*";
    case BinaryOp::divide:
      return "/";
    case BinaryOp::floor_divide:
      return "//";
    case BinaryOp::modulo:
      return "%";
    case BinaryOp::power:
      return "** or pow()";
  }
  return "";
}

[[noreturn]] void fail_types(BinaryOp op, const Value& a, const Value& b) {
  if (op == BinaryOp::add && a.is(Kind::text))
    throw Fault(fmt::format("can only concatenate str (not \"{}\") to str", type_name(b)));
  throw Fault(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", symbol(op),
                          type_name(a), type_name(b)));
}

/// The remainder with the sign of the divisor.
double float_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  if (rest == 0) rest = std::copysign(0.0, b);
  return rest;
}

double float_floor_divide(double a, double b) {
  const double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0 && (rest < 0) != (b < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

Value float_power(double a, double b) {
  if (a == 0 && b < 0) throw Fault("0.0 cannot be raised to a negative power");
  const double result = std::pow(a, b);
  if (std::isnan(result) && !std::isnan(a) && !std::isnan(b))
    throw Fault("a power of a negative number with a fraction is complex, which is not supported");
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b))
    throw Fault("Numerical result out of range");
  return result;
}

Value float_arithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::add:
      return a + b;
    case BinaryOp::subtract:
      return a - b;
    case BinaryOp::multiply:
      return a * b;
    case BinaryOp::power:
      return float_power(a, b);
    default:
      break;
  }
  if (b == 0) throw Fault(op == BinaryOp::modulo ? "float modulo" : "float division by zero");
  if (op == BinaryOp::divide) return a / b;
  return op == BinaryOp::modulo ? float_modulo(a, b) : float_floor_divide(a, b);
}

/// a / b, correctly rounded also where a and b are beyond the range of exact floats.
Value true_quotient(const Integer& a, const Integer& b) {
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  const auto x = a.small(), y = b.small();
  if (x && y && *x >= -kExact && *x <= kExact && *y >= -kExact && *y <= kExact)
    return static_cast<double>(*x) / static_cast<double>(*y);
  // Scale so that the quotient has at least 64 bits. A sticky bit stands for the rest.
  const std::int64_t shift = std::max<std::int64_t>(0, 66 - a.bit_length() + b.bit_length());
  const Integer magnitude = a.is_negative() ? -a : a, divisor = b.is_negative() ? -b : b;
  auto [quotient, rest] = Integer::divide(magnitude * Integer::power(2, shift), divisor);
  if (!rest.is_zero() && !quotient.is_odd()) quotient = quotient + Integer(1);
  const double value = std::ldexp(quotient.to_double(), static_cast<int>(-shift));
  return a.is_negative() != b.is_negative() ? -value : value;
}

Value integer_arithmetic(BinaryOp op, const Integer& a, const Integer& b) {
  switch (op) {
    case BinaryOp::add:
      return a + b;
    case BinaryOp::subtract:
      return a - b;
    case BinaryOp::multiply:
      return a * b;
    case BinaryOp::power:
      if (b.is_negative()) return float_power(a.to_double(), b.to_double());
      return Integer::power(a, b);
    default:
      break;
  }
  if (b.is_zero())
    throw Fault(op == BinaryOp::divide ? "division by zero" : "integer division or modulo by zero");
  if (op == BinaryOp::divide) return true_quotient(a, b);
  const auto [quotient, remainder] = Integer::divide(a, b);
  return op == BinaryOp::modulo ? remainder : quotient;
}

Value add_texts(const Value& a, const Value& b) {
  const bool markup = a.as_text().is_markup() || b.as_text().is_markup();
  TextBuilder sum;
  sum.add(markup ? *escaped(a) : a.as_text()).add(markup ? *escaped(b) : b.as_text());
  return sum.finish(markup);
}

Value add_sequences(const Sequence& a, const Sequence& b) {
  expect_room((a.items.size() + b.items.size()) * sizeof(Value));
  std::vector<Value> items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return a.is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

Value repeat_sequence(const Sequence& sequence, std::int64_t count) {
  std::vector<Value> items;
  const std::size_t size = sequence.items.size();
  if (count > 0 && size > 0) {
    const auto times = static_cast<std::size_t>(count);
    if (times > (std::size_t{1} << 40) / size) throw Fault("a list repeated too often");
    expect_room(times * size * sizeof(Value));
    count_steps(times * size);
    for (std::size_t i = 0; i < times; ++i)
      items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return sequence.is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

std::optional<Value> repeat(const Value& a, const Value& count) {
  if (!count.is_integral()) return std::nullopt;
  if (a.is(Kind::text)) return Value(repeated(a.as_text(), count.as_integer().clamped()));
  if (a.is(Kind::sequence)) return repeat_sequence(a.as_sequence(), count.as_integer().clamped());
  return std::nullopt;
}

}  // namespace

TextRef repeated(const Text& text, std::int64_t count) {
  TextBuilder result;
  const std::size_t size = text.bytes().size();
  if (count > 0 && size > 0) {
    if (static_cast<std::size_t>(count) > (std::size_t{1} << 40) / size)
      throw Fault("a text repeated too often");
    expect_room(static_cast<std::size_t>(count) * size);
    for (std::int64_t i = 0; i < count; ++i) {
      count_steps(1);
      result.add(text);
    }
  }
  return result.finish(text.is_markup());
}

Value binary(BinaryOp op, const Value& a, const Value& b) {
  if (a.is_undefined()) fail_undefined(a);
  // The left side of % decides: a text formats whatever is on the right.
  if (op == BinaryOp::modulo && a.is(Kind::text)) return percent_format(a.as_text(), b);
  if (b.is_undefined()) fail_undefined(b);
  if (a.is_numeric() && b.is_numeric()) {
    if (a.is_integral() && b.is_integral())
      return integer_arithmetic(op, a.as_integer(), b.as_integer());
    return float_arithmetic(op, to_float(a), to_float(b));
  }
  if (op == BinaryOp::add) {
    if (a.is(Kind::text) && b.is(Kind::text)) return add_texts(a, b);
    if (a.is(Kind::sequence) && b.is(Kind::sequence) &&
        a.as_sequence().is_tuple == b.as_sequence().is_tuple)
      return add_sequences(a.as_sequence(), b.as_sequence());
  }
  if (op == BinaryOp::multiply) {
    if (std::optional<Value> result = repeat(a, b)) return *std::move(result);
    if (std::optional<Value> result = repeat(b, a)) return *std::move(result);
  }
  fail_types(op, a, b);
}

Value negated(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
  if (value.is(Kind::number)) return -value.as_number();
  if (value.is_integral()) return -value.as_integer();
  throw Fault(fmt::format("bad operand type for unary -: '{}'", type_name(value)));
}

Value plus(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
  if (value.is(Kind::number)) return value;
  if (value.is_integral()) return value.as_integer();
  throw Fault(fmt::format("bad operand type for unary +: '{}'", type_name(value)));
}

}  // namespace bitaxon::jinja
