// Attributes, items and slices of values.
#pragma once

#include "template/value.h"

namespace bitaxon::jinja {

/// value.name: a method or attribute, else the item with that key, else undefined. Methods that
/// would change the value and names that Python reserves are undefined, and using them fails.
Value attribute_of(const Value& value, std::string_view name);
/// value[key]: the item, else for a text the method or attribute of that name, else undefined.
Value item_of(const Value& value, const Value& key);
/// value[start:stop:step], where each bound is None or an integer.
Value slice_of(const Value& value, const Value& start, const Value& stop, const Value& step);

/// The method or attribute of that name, without items; or nothing.
std::optional<Value> own_attribute(const Value& value, std::string_view name);

/// The indices that a Python slice of a sequence of `length` items takes.
struct SliceIndices {
  std::int64_t start, step, count;
};
SliceIndices slice_indices(std::int64_t length, const Value& start, const Value& stop,
                           const Value& step);

}  // namespace bitaxon::jinja
