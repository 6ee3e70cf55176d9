// The tests of the template language: value is name(arguments).
#include <fmt/format.h>

#include "template/arithmetic.h"
#include "template/comparison.h"
#include "template/filters.h"
#include "template/methods.h"
#include "template/objects.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

using Test = bool (*)(const Value& value, const Value* argument);

struct Entry {
  Test test;
  bool takes_argument = false;
};

bool has_remainder(const Value& value, const Value& divisor, std::int64_t remainder) {
  return equal(binary(BinaryOp::modulo, value, divisor), Value::integer(remainder));
}

bool is_sequence(const Value& value, const Value*) {
  return value.is_undefined() || value.is(Kind::text) || value.is(Kind::sequence) ||
         value.is(Kind::mapping) || value.as<Range>() != nullptr;
}

bool is_callable(const Value& value, const Value*) {
  return value.is_undefined() || (value.is(Kind::object) && value.as_object().is_callable());
}

template <int kSign, bool kOrEqual>
bool is_ordered(const Value& a, const Value* b) {
  constexpr std::string_view kOps[] = {"<", "<=", ">", ">="};
  const std::optional<int> o = order(a, *b, kOps[(kSign > 0 ? 2 : 0) + (kOrEqual ? 1 : 0)]);
  return o && (*o * kSign > 0 || (kOrEqual && *o == 0));
}

bool is_equal(const Value& a, const Value* b) { return equal(a, *b); }
bool is_other(const Value& a, const Value* b) { return !equal(a, *b); }

const std::unordered_map<std::string_view, Entry>& tests() {
  static const std::unordered_map<std::string_view, Entry> table = {
      {"defined", {[](const Value& v, const Value*) { return !v.is_undefined(); }}},
      {"undefined", {[](const Value& v, const Value*) { return v.is_undefined(); }}},
      {"none", {[](const Value& v, const Value*) { return v.is_none(); }}},
      {"boolean", {[](const Value& v, const Value*) { return v.is(Kind::boolean); }}},
      {"true", {[](const Value& v, const Value*) { return v.is(Kind::boolean) && v.as_bool(); }}},
      {"false", {[](const Value& v, const Value*) { return v.is(Kind::boolean) && !v.as_bool(); }}},
      {"integer", {[](const Value& v, const Value*) { return v.is(Kind::integer); }}},
      {"float", {[](const Value& v, const Value*) { return v.is(Kind::number); }}},
      {"number", {[](const Value& v, const Value*) { return v.is_numeric(); }}},
      {"string", {[](const Value& v, const Value*) { return v.is(Kind::text); }}},
      {"mapping", {[](const Value& v, const Value*) { return v.is(Kind::mapping); }}},
      {"sequence", {is_sequence}},
      {"iterable", {[](const Value& v, const Value*) { return try_iterate(v) != nullptr; }}},
      {"callable", {is_callable}},
      {"escaped",
       {[](const Value& v, const Value*) { return v.is(Kind::text) && v.as_text().is_markup(); }}},
      {"lower", {[](const Value& v, const Value*) { return is_lower_text(*text_of(v)); }}},
      {"upper", {[](const Value& v, const Value*) { return is_upper_text(*text_of(v)); }}},
      {"odd",
       {[](const Value& v, const Value*) { return has_remainder(v, Value::integer(2), 1); }}},
      {"even",
       {[](const Value& v, const Value*) { return has_remainder(v, Value::integer(2), 0); }}},
      {"divisibleby",
       {[](const Value& v, const Value* n) { return has_remainder(v, *n, 0); }, true}},
      {"sameas", {[](const Value& v, const Value* other) { return v.same_as(*other); }, true}},
      {"in", {[](const Value& v, const Value* all) { return contains(*all, v); }, true}},
      {"filter", {[](const Value& v, const Value*) {
         return v.is(Kind::text) && is_filter(v.as_text().view());
       }}},
      {"test", {[](const Value& v, const Value*) {
         return v.is(Kind::text) && is_test(v.as_text().view());
       }}},
      {"eq", {is_equal, true}},
      {"==", {is_equal, true}},
      {"equalto", {is_equal, true}},
      {"ne", {is_other, true}},
      {"!=", {is_other, true}},
      {"lt", {is_ordered<-1, false>, true}},
      {"<", {is_ordered<-1, false>, true}},
      {"lessthan", {is_ordered<-1, false>, true}},
      {"le", {is_ordered<-1, true>, true}},
      {"<=", {is_ordered<-1, true>, true}},
      {"gt", {is_ordered<1, false>, true}},
      {">", {is_ordered<1, false>, true}},
      {"greaterthan", {is_ordered<1, false>, true}},
      {"ge", {is_ordered<1, true>, true}},
      {">=", {is_ordered<1, true>, true}},
  };
  return table;
}

}  // namespace

bool is_test(std::string_view name) { return tests().contains(name); }

bool apply_test(Interpreter&, std::string_view name, const Arguments& arguments) {
  const Nested nested;
  const auto found = tests().find(name);
  if (found == tests().end()) throw Fault(fmt::format("No test named '{}'.", name));
  const std::size_t wanted = found->second.takes_argument ? 2 : 1;
  std::vector<Value> values = arguments.positional;
  for (const auto& [key, value] : arguments.named) values.push_back(value);
  if (values.size() != wanted)
    throw Fault(fmt::format("the test '{}' takes {} arguments, got {}", name, wanted - 1,
                            values.size() - 1));
  return found->second.test(values[0], wanted == 2 ? &values[1] : nullptr);
}

}  // namespace bitaxon::jinja
