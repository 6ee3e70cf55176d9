// Filters of numbers, and the filters for missing values.
#include <fmt/format.h>

#include <cmath>

#include "template/arithmetic.h"
#include "template/attributes.h"
#include "template/filters.h"
#include "template/numbers.h"

namespace bitaxon::jinja {
namespace {

Value filter_abs(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("abs", arguments, {"x"}, 1);
  const Value& value = bound[0];
  if (value.is(Kind::number)) return std::fabs(value.as_number());
  if (!value.is_integral())
    throw Fault(fmt::format("bad operand type for abs(): '{}'", type_name(value)));
  const Integer number = value.as_integer();
  return number.is_negative() ? -number : number;
}

std::optional<Integer> integer_of(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  return Integer::of_double(value);
}

Value filter_int(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("int", arguments, {"value", "default", "base"}, 1);
  const Value& value = bound[0];
  if (value.is_undefined()) fail_undefined(value);
  if (value.is_integral()) return value.as_integer();
  std::optional<Integer> result;
  if (value.is(Kind::number)) {
    if (std::isinf(value.as_number())) throw Fault("cannot convert float infinity to integer");
    result = integer_of(value.as_number());
  } else if (value.is(Kind::text)) {
    const std::string_view text = value.as_text().view();
    const std::int64_t base = bound.integer(2, 10);
    if (base == 0 || (base >= 2 && base <= 36))
      result = read_integer(text, static_cast<unsigned>(base));
    if (!result)
      if (const std::optional<double> number = read_float(text)) result = integer_of(*number);
  }
  return result ? Value(*result) : bound.value(1, Value::integer(0));
}

Value filter_float(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("float", arguments, {"value", "default"}, 1);
  const Value& value = bound[0];
  if (value.is_undefined()) fail_undefined(value);
  if (value.is_numeric()) return to_float(value);
  if (value.is(Kind::text))
    if (const std::optional<double> number = read_float(value.as_text().view())) return *number;
  return bound.value(1, Value(0.0));
}

Value filter_round(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("round", arguments, {"value", "precision", "method"}, 1);
  const std::string method = bound.has(2) ? bound.text(2).bytes() : "common";
  if (method != "common" && method != "ceil" && method != "floor")
    throw Fault("method must be common, ceil or floor");
  if (bound[0].is_undefined()) fail_undefined(bound[0]);
  if (!bound[0].is_numeric())
    throw Fault(fmt::format("type {} doesn't define __round__ method", type_name(bound[0])));
  const std::int64_t precision = bound.integer(1, 0);
  if (method == "common") return rounded(bound[0], precision);
  const Value unit = binary(BinaryOp::power, Value::integer(10), Value::integer(precision));
  const double scaled = to_float(binary(BinaryOp::multiply, bound[0], unit));
  const double whole = method == "ceil" ? std::ceil(scaled) : std::floor(scaled);
  return binary(BinaryOp::divide, Value(Integer::of_double(whole)), unit);
}

Value filter_filesizeformat(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("filesizeformat", arguments, {"value", "binary"}, 1);
  std::optional<double> bytes;
  if (bound[0].is_numeric()) bytes = to_float(bound[0]);
  if (bound[0].is(Kind::text)) bytes = read_float(bound[0].as_text().view());
  if (!bytes) throw Fault("filesizeformat expects a number");
  const bool binary = bound.flag(1, false);
  const double base = binary ? 1024 : 1000;
  if (*bytes == 1) return Value::text("1 Byte");
  if (*bytes < base) return Value::text(fmt::format("{:.0f} Bytes", std::trunc(*bytes)));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  for (std::size_t i = 0; i < kPrefixes.size(); ++i) {
    unit *= base;
    if (*bytes >= unit && i + 1 < kPrefixes.size()) continue;
    const std::string prefix = binary ? std::string(1, i == 0 ? 'K' : kPrefixes[i]) + "iB"
                                      : std::string(1, kPrefixes[i]) + "B";
    return Value::text(fmt::format("{:.1f} {}", base * *bytes / unit, prefix));
  }
  return Value::text("");
}

Value filter_default(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("default", arguments, {"value", "default_value", "boolean"}, 1);
  const bool missing = bound[0].is_undefined() || (bound.flag(2, false) && !truth(bound[0]));
  return missing ? bound.value(1, Value::text("")) : bound[0];
}

Value filter_attr(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("attr", arguments, {"obj", "name"}, 2);
  const std::string& name = bound.text(1).bytes();
  if (bound[0].is_undefined()) fail_undefined(bound[0]);
  if (std::optional<Value> attribute = own_attribute(bound[0], name)) return *std::move(attribute);
  return Value::undefined(
      fmt::format("'{} object' has no attribute '{}'", type_name(bound[0]), name));
}

Value filter_not_supported(Interpreter&, const Arguments&) {
  throw Fault("the filters pprint, random, urlize and wordwrap are not supported");
}

}  // namespace

void add_number_filters(FilterTable& table) {
  table.insert({{"abs", filter_abs},
                {"int", filter_int},
                {"float", filter_float},
                {"round", filter_round},
                {"filesizeformat", filter_filesizeformat},
                {"default", filter_default},
                {"d", filter_default},
                {"attr", filter_attr},
                {"pprint", filter_not_supported},
                {"random", filter_not_supported},
                {"urlize", filter_not_supported},
                {"wordwrap", filter_not_supported}});
}

}  // namespace bitaxon::jinja
