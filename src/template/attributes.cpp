#include "template/attributes.h"

#include <fmt/format.h>

#include <algorithm>

#include "template/methods.h"
#include "template/objects.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

/// Names such as __class__, which every object of Python has.
bool is_reserved(std::string_view name) {
  return name.size() > 4 && name.starts_with("__") && name.ends_with("__");
}

/// The item at an index that may count from the end. Empty outside.
std::optional<std::int64_t> place_of(const Value& key, std::int64_t length) {
  if (!key.is_integral()) return std::nullopt;
  std::int64_t index = key.as_integer().clamped();
  if (index < 0 && index >= -length) index += length;
  if (index < 0 || index >= length) return std::nullopt;
  return index;
}

bool is_hashable(const Value& key) {
  if (key.is(Kind::mapping)) return false;
  if (!key.is(Kind::sequence)) return true;
  const Sequence& sequence = key.as_sequence();
  const Nested nested;
  return sequence.is_tuple &&
         std::all_of(sequence.items.begin(), sequence.items.end(), is_hashable);
}

std::optional<Value> own_item(const Value& value, const Value& key) {
  switch (value.kind()) {
    case Kind::text: {
      const Text& text = value.as_text();
      const auto place = place_of(key, text.length());
      if (!place) return std::nullopt;
      const std::size_t begin = text.byte_of(*place);
      std::size_t end = begin;
      next_code_point(text.view(), end);
      return Value(part_of(text, begin, end));
    }
    case Kind::sequence: {
      const std::vector<Value>& items = value.as_sequence().items;
      const auto place = place_of(key, static_cast<std::int64_t>(items.size()));
      if (!place) return std::nullopt;
      return items[static_cast<std::size_t>(*place)];
    }
    case Kind::mapping: {
      const Value* found = is_hashable(key) ? value.as_mapping().find(key) : nullptr;
      if (!found) return std::nullopt;
      return *found;
    }
    case Kind::object:
      return value.as_object().item(key);
    default:
      return std::nullopt;
  }
}

std::string described(const Value& value) {
  return value.is_none() ? "None" : type_name(value) + " object";
}

std::optional<std::int64_t> bound(const Value& value) {
  if (value.is_none()) return std::nullopt;
  if (value.is_undefined()) fail_undefined(value);
  if (!value.is_integral())
    throw Fault("slice indices must be integers or None or have an __index__ method");
  return value.as_integer().clamped();
}

TextRef slice_text(const Text& text, const SliceIndices& slice) {
  if (slice.count == 0) return part_of(text, 0, 0);
  if (slice.step == 1)
    return part_of(text, text.byte_of(slice.start), text.byte_of(slice.start + slice.count));
  std::vector<std::size_t> begins;
  expect_room(text.bytes().size() * sizeof(std::size_t));
  count_steps(text.bytes().size() / 8);
  for (std::size_t at = 0; at < text.bytes().size(); next_code_point(text.view(), at))
    begins.push_back(at);
  begins.push_back(text.bytes().size());
  TextBuilder result;
  for (std::int64_t i = 0; i < slice.count; ++i) {
    const auto place = static_cast<std::size_t>(slice.start + i * slice.step);
    result.add(text, begins[place], begins[place + 1]);
  }
  return result.finish(text.is_markup());
}

}  // namespace

std::optional<Value> own_attribute(const Value& value, std::string_view name) {
  if (is_reserved(name)) return unsafe_attribute(value, name);
  switch (value.kind()) {
    case Kind::text:
      return text_method(value, name);
    case Kind::sequence:
      return sequence_method(value, name);
    case Kind::mapping:
      return mapping_method(value, name);
    case Kind::boolean:
    case Kind::integer:
    case Kind::number:
      return number_method(value, name);
    case Kind::object:
      return value.as_object().attribute(name);
    default:
      return std::nullopt;
  }
}

Value unsafe_attribute(const Value& value, std::string_view name) {
  return Value::undefined(fmt::format("access to attribute {} of '{}' object is unsafe.",
                                      quoted_text(name), type_name(value)));
}

Value attribute_of(const Value& value, std::string_view name) {
  if (value.is_undefined()) fail_undefined(value);
  if (std::optional<Value> attribute = own_attribute(value, name)) return *std::move(attribute);
  if (std::optional<Value> item = own_item(value, Value::text(name))) return *std::move(item);
  return Value::undefined(
      fmt::format("{} has no attribute {}", quoted_text(described(value)), quoted_text(name)));
}

Value item_of(const Value& value, const Value& key) {
  if (value.is_undefined()) fail_undefined(value);
  if (std::optional<Value> item = own_item(value, key)) return *std::move(item);
  if (key.is(Kind::text)) {
    const std::string& name = key.as_text().bytes();
    if (std::optional<Value> attribute = own_attribute(value, name)) return *std::move(attribute);
    return Value::undefined(
        fmt::format("{} has no attribute {}", quoted_text(described(value)), quoted_text(name)));
  }
  return Value::undefined(fmt::format("{} has no element {}", described(value), repr(key)));
}

SliceIndices slice_indices(std::int64_t length, const Value& start_value, const Value& stop_value,
                           const Value& step_value) {
  const std::int64_t step = std::clamp<std::int64_t>(
      bound(step_value).value_or(1), -(std::int64_t{1} << 40), std::int64_t{1} << 40);
  if (step == 0) throw Fault("slice step cannot be zero");
  const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? length : length - 1;
  const auto place = [&](const Value& value, std::int64_t fallback) {
    const std::optional<std::int64_t> wanted = bound(value);
    if (!wanted) return fallback;
    std::int64_t index = std::clamp<std::int64_t>(*wanted, -length - 1, length);
    if (index < 0) index += length;
    return std::clamp(index, low, high);
  };
  const std::int64_t start = place(start_value, step > 0 ? low : high);
  const std::int64_t stop = place(stop_value, step > 0 ? high : low);
  std::int64_t count = 0;
  if (step > 0 && start < stop) count = (stop - start - 1) / step + 1;
  if (step < 0 && start > stop) count = (start - stop - 1) / -step + 1;
  return {start, step, count};
}

Value slice_of(const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (value.is_undefined()) fail_undefined(value);
  if (value.is(Kind::text))
    return Value(
        slice_text(value.as_text(), slice_indices(value.as_text().length(), start, stop, step)));
  if (value.is(Kind::mapping)) throw Fault("unhashable type: 'slice'");
  if (!value.is(Kind::sequence) && !value.as<Range>())
    throw Fault(fmt::format("'{}' object is not subscriptable", type_name(value)));
  const SliceIndices slice = slice_indices(length_of(value), start, stop, step);
  if (const Range* range = value.as<Range>()) return range->slice(slice);
  const Sequence& sequence = value.as_sequence();
  expect_room(static_cast<std::size_t>(slice.count) * sizeof(Value));
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(slice.count));
  for (std::int64_t i = 0; i < slice.count; ++i)
    items.push_back(sequence.items[static_cast<std::size_t>(slice.start + i * slice.step)]);
  return sequence.is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

Value Range::slice(const SliceIndices& slice) const {
  const std::int64_t step = step_ * slice.step, start = start_ + slice.start * step_;
  return Value(std::static_pointer_cast<Object>(
      std::make_shared<Range>(start, start + slice.count * step, step, slice.count)));
}

}  // namespace bitaxon::jinja
