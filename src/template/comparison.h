// Equality, order and membership, as Python defines them.
#pragma once

#include <cstdint>

#include "template/value.h"

namespace bitaxon::jinja {

bool equal(const Value& a, const Value& b);
/// Negative, zero or positive. Throws Fault for values without an order; `op` is the operator in the
/// message. Values with a NaN are unordered: empty.
std::optional<int> order(const Value& a, const Value& b, std::string_view op);
/// a < b. Throws Fault for values without an order.
bool less(const Value& a, const Value& b);
/// Python's `item in container`.
bool contains(const Value& container, const Value& item);
/// A hash that is the same for equal values. Throws Fault for values that Python cannot hash.
std::uint64_t hash_of(const Value& value);

}  // namespace bitaxon::jinja
