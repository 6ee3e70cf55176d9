#include "template/comparison.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "template/objects.h"

namespace bitaxon::jinja {
namespace {

/// Compares an integer with a float exactly. Empty for NaN.
std::optional<int> order_mixed(const Integer& a, double b) {
  if (std::isnan(b)) return std::nullopt;
  if (std::isinf(b)) return b > 0 ? -1 : 1;
  const int whole = Integer::compare(a, Integer::of_double(b));
  if (whole != 0) return whole;
  const double rest = b - std::trunc(b);
  return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

std::optional<int> order_numbers(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return Integer::compare(a.as_integer(), b.as_integer());
  if (a.is_integral()) return order_mixed(a.as_integer(), b.as_number());
  if (b.is_integral()) {
    const std::optional<int> turned = order_mixed(b.as_integer(), a.as_number());
    return turned ? std::optional(-*turned) : turned;
  }
  const double x = a.as_number(), y = b.as_number();
  if (std::isnan(x) || std::isnan(y)) return std::nullopt;
  return x < y ? -1 : x > y ? 1 : 0;
}

bool equal_sequences(const Sequence& a, const Sequence& b) {
  if (a.is_tuple != b.is_tuple || a.items.size() != b.items.size()) return false;
  const Nested nested;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!equal(a.items[i], b.items[i])) return false;
  return true;
}

bool equal_mappings(const Mapping& a, const Mapping& b) {
  if (a.entries.size() != b.entries.size()) return false;
  const Nested nested;
  for (const auto& [key, value] : a.entries) {
    const Value* other = b.find(key);
    if (!other || !equal(value, *other)) return false;
  }
  return true;
}

std::optional<int> order_sequences(const Sequence& a, const Sequence& b, std::string_view op) {
  const Nested nested;
  for (std::size_t i = 0; i < a.items.size() && i < b.items.size(); ++i)
    if (!equal(a.items[i], b.items[i])) return order(a.items[i], b.items[i], op);
  return a.items.size() < b.items.size() ? -1 : a.items.size() > b.items.size() ? 1 : 0;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t more) {
  return (hash ^ more) * 0x9e3779b97f4a7c15ULL + (hash >> 29);
}

}  // namespace

bool equal(const Value& a, const Value& b) {
  count_steps(1);
  if (a.is_numeric() && b.is_numeric()) return order_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::text:
      count_steps(a.as_text().bytes().size() / 64);
      return a.as_text().bytes() == b.as_text().bytes();
    case Kind::sequence:
      return a.sequence_ref() == b.sequence_ref() ||
             equal_sequences(a.as_sequence(), b.as_sequence());
    case Kind::mapping:
      return a.mapping_ref() == b.mapping_ref() || equal_mappings(a.as_mapping(), b.as_mapping());
    case Kind::object:
      if (const Range* range = a.as<Range>(); range && b.as<Range>())
        return range->repr()->bytes() == b.as<Range>()->repr()->bytes();
      return a.object_ref() == b.object_ref();
    default:
      return true;  // both undefined or both none
  }
}

std::optional<int> order(const Value& a, const Value& b, std::string_view op) {
  count_steps(1);
  if (a.is_undefined()) fail_undefined(a);
  if (b.is_undefined()) fail_undefined(b);
  if (a.is_numeric() && b.is_numeric()) return order_numbers(a, b);
  if (a.is(Kind::text) && b.is(Kind::text)) {
    count_steps(a.as_text().bytes().size() / 64);
    // The order of UTF-8 bytes is the order of code points.
    return a.as_text().bytes().compare(b.as_text().bytes());
  }
  if (a.is(Kind::sequence) && b.is(Kind::sequence) &&
      a.as_sequence().is_tuple == b.as_sequence().is_tuple)
    return order_sequences(a.as_sequence(), b.as_sequence(), op);
  throw Fault(fmt::format("'{}' not supported between instances of '{}' and '{}'", op, type_name(a),
                          type_name(b)));
}

bool less(const Value& a, const Value& b) {
  const std::optional<int> result = order(a, b, "<");
  return result && *result < 0;
}

bool contains(const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::text:
      if (!item.is(Kind::text))
        throw Fault(
            fmt::format("'in <string>' requires string as left operand, not {}", type_name(item)));
      return find_bytes(container.as_text().view(), item.as_text().view()) != std::string::npos;
    case Kind::mapping:
      return container.as_mapping().find(item) != nullptr;
    default:
      break;
  }
  const std::shared_ptr<Iterator> iterator = try_iterate(container);
  if (!iterator)
    throw Fault(fmt::format("argument of type '{}' is not iterable", type_name(container)));
  while (const std::optional<Value> next = iterator->next())
    if (equal(*next, item)) return true;
  return false;
}

std::uint64_t hash_of(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return 1;
    case Kind::none:
      return 2;
    case Kind::boolean:
    case Kind::integer:
      // Equal numbers need equal hashes. Floats beyond 2^53 are rare keys.
      if (const auto small = value.as_integer().small())
        return mixed(3, std::hash<double>()(static_cast<double>(*small)));
      return 3;
    case Kind::number:
      if (std::fabs(value.as_number()) >= 9.2e18) return 3;
      return mixed(3, std::hash<double>()(value.as_number()));
    case Kind::text:
      count_steps(value.as_text().bytes().size() / 64);
      return mixed(4, std::hash<std::string>()(value.as_text().bytes()));
    case Kind::sequence: {
      if (!value.as_sequence().is_tuple) break;
      const Nested nested;
      std::uint64_t hash = 5;
      for (const Value& item : value.as_sequence().items) hash = mixed(hash, hash_of(item));
      return hash;
    }
    case Kind::object:
      return mixed(6, std::hash<const void*>()(&value.as_object()));
    case Kind::mapping:
      break;
  }
  throw Fault(fmt::format("unhashable type: '{}'", type_name(value)));
}

}  // namespace bitaxon::jinja
