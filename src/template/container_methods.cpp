// Methods of lists, tuples, mappings and numbers, and attributes of namespaces.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "template/arguments.h"
#include "template/comparison.h"
#include "template/methods.h"
#include "template/objects.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value method_list_count(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("count", arguments, {"value"}, 1);
  std::int64_t count = 0;
  for (const Value& item : self.as_sequence().items) count += equal(item, bound[0]) ? 1 : 0;
  return Value::integer(count);
}

Value method_list_index(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("index", arguments, {"value", "start", "stop"}, 1);
  const std::vector<Value>& items = self.as_sequence().items;
  const auto size = static_cast<std::int64_t>(items.size());
  const auto place = [&](std::int64_t index) {
    return std::clamp<std::int64_t>(index < 0 ? std::max(index, -size) + size : index, 0, size);
  };
  for (std::int64_t i = place(bound.integer(1, 0)); i < place(bound.integer(2, size)); ++i)
    if (equal(items[static_cast<std::size_t>(i)], bound[0])) return Value::integer(i);
  throw Fault(fmt::format("{} is not in list", repr(bound[0])));
}

Value method_copy(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("copy", arguments, {});
  return self;
}

Value method_get(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("get", arguments, {"key", "default"}, 1);
  const Value* found = self.as_mapping().find(bound[0]);
  return found ? *found : bound.value(1, None{});
}

enum class Part { keys, values, items };

template <Part kPart>
Value method_view(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("items", arguments, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.as_mapping().entries) {
    count_steps(1);
    items.push_back(kPart == Part::keys     ? key
                    : kPart == Part::values ? value
                                            : Value::tuple({key, value}));
  }
  constexpr const char* kName = kPart == Part::keys     ? "dict_keys"
                                : kPart == Part::values ? "dict_values"
                                                        : "dict_items";
  return Value(std::static_pointer_cast<Object>(
      std::make_shared<View>(kName, Value::list(std::move(items)))));
}

Value method_fromkeys(Interpreter&, const Value&, const Arguments& arguments) {
  const BoundArguments bound("fromkeys", arguments, {"iterable", "value"}, 1);
  Mapping::Entries entries;
  for (Value& key : items_of(bound[0]))
    entries.emplace_back(std::move(key), bound.value(1, None{}));
  return make_mapping(std::move(entries));
}

Value method_is_integer(Interpreter&, const Value& self, const Arguments&) {
  return !self.is(Kind::number) || std::trunc(self.as_number()) == self.as_number();
}

Value method_bit_length(Interpreter&, const Value& self, const Arguments&) {
  return Value::integer(self.as_integer().bit_length());
}

}  // namespace

std::optional<Value> sequence_method(const Value& sequence, std::string_view name) {
  const Sequence& items = sequence.as_sequence();
  if (items.is_group && name == "grouper") return items.items[0];
  if (items.is_group && name == "list") return items.items[1];
  if (name == "count") return make_function("count", method_list_count, sequence);
  if (name == "index") return make_function("index", method_list_index, sequence);
  if (items.is_tuple) return std::nullopt;
  if (name == "copy") return make_function("copy", method_copy, sequence);
  if (is_one_of(name, {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"}))
    return unsafe_attribute(sequence, name);
  return std::nullopt;
}

std::optional<Value> mapping_method(const Value& mapping, std::string_view name) {
  if (name == "get") return make_function("get", method_get, mapping);
  if (name == "items") return make_function("items", method_view<Part::items>, mapping);
  if (name == "keys") return make_function("keys", method_view<Part::keys>, mapping);
  if (name == "values") return make_function("values", method_view<Part::values>, mapping);
  if (name == "copy") return make_function("copy", method_copy, mapping);
  if (name == "fromkeys") return make_function("fromkeys", method_fromkeys, mapping);
  if (is_one_of(name, {"clear", "pop", "popitem", "setdefault", "update"}))
    return unsafe_attribute(mapping, name);
  return std::nullopt;
}

std::optional<Value> number_method(const Value& number, std::string_view name) {
  if (name == "real") return number;
  if (name == "imag") return number.is(Kind::number) ? Value(0.0) : Value::integer(0);
  if (number.is(Kind::number)) {
    if (name == "is_integer") return make_function("is_integer", method_is_integer, number);
    return std::nullopt;
  }
  if (name == "numerator") return Value(number.as_integer());
  if (name == "denominator") return Value::integer(1);
  if (name == "bit_length") return make_function("bit_length", method_bit_length, number);
  return std::nullopt;
}

std::optional<Value> Namespace::attribute(std::string_view name) {
  for (const auto& [key, value] : values_)
    if (key == name) return value;
  return std::nullopt;
}

void Namespace::set(std::string_view name, Value value) {
  count_steps(values_.size() / 16);
  for (auto& [key, old] : values_) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  charges_.emplace_back(sizeof(values_[0]) + name.size());
  values_.emplace_back(name, std::move(value));
}

}  // namespace bitaxon::jinja
