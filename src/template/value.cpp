#include "template/value.h"

#include <fmt/format.h>

#include <algorithm>

#include "template/comparison.h"

namespace bitaxon::jinja {
namespace {

int depth_of_items(const std::vector<Value>& items) {
  int deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, item.depth());
  return checked_depth(deepest + 1);
}

}  // namespace

int checked_depth(int depth) {
  if (depth > kMaxValueDepth)
    throw Fault(fmt::format("expected at most {} lists in each other, got more", kMaxValueDepth));
  return depth;
}

Value Value::undefined(std::string message) {
  Value value;
  value.data_ = std::make_shared<const Undefined>(Undefined{std::move(message)});
  return value;
}

Value Value::list(std::vector<Value> items) {
  return std::make_shared<const Sequence>(std::move(items), false);
}

Value Value::tuple(std::vector<Value> items) {
  return std::make_shared<const Sequence>(std::move(items), true);
}

Integer Value::as_integer() const {
  if (is(Kind::boolean)) return Integer(as_bool() ? 1 : 0);
  return std::get<Integer>(data_);
}

const Sequence& Value::as_sequence() const { return *sequence_ref(); }
const Mapping& Value::as_mapping() const { return *mapping_ref(); }
const std::shared_ptr<const Sequence>& Value::sequence_ref() const {
  return std::get<std::shared_ptr<const Sequence>>(data_);
}
const std::shared_ptr<const Mapping>& Value::mapping_ref() const {
  return std::get<std::shared_ptr<const Mapping>>(data_);
}
Object& Value::as_object() const { return *object_ref(); }
const std::shared_ptr<Object>& Value::object_ref() const {
  return std::get<std::shared_ptr<Object>>(data_);
}

const std::string& Value::undefined_message() const {
  return std::get<std::shared_ptr<const Undefined>>(data_)->message;
}

bool Value::same_as(const Value& other) const {
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case Kind::undefined:
      return std::get<0>(data_) == std::get<0>(other.data_);
    case Kind::text:
      return text_ref() == other.text_ref() || as_text().bytes() == other.as_text().bytes();
    case Kind::sequence:
      return sequence_ref() == other.sequence_ref();
    case Kind::mapping:
      return mapping_ref() == other.mapping_ref();
    case Kind::object:
      return object_ref() == other.object_ref();
    default:
      return equal(*this, other);
  }
}

int Value::depth() const {
  switch (kind()) {
    case Kind::sequence:
      return as_sequence().depth;
    case Kind::mapping:
      return as_mapping().depth;
    case Kind::object:
      return as_object().depth();
    default:
      return 0;
  }
}

Sequence::Sequence(std::vector<Value> sequence_items, bool tuple)
    : items(std::move(sequence_items)),
      is_tuple(tuple),
      depth(depth_of_items(items)),
      charge(sizeof(Sequence) + items.size() * sizeof(Value)) {
  count_steps(items.size() / 4 + 1);
}

Mapping::Mapping(Entries all) : depth(1) {
  for (auto& entry : all) {
    Value& key = entry.first;
    Value& value = entry.second;
    depth = checked_depth(std::max({depth, key.depth() + 1, value.depth() + 1}));
    const std::uint64_t hash = hash_of(key);
    const auto [first, last] = places_.equal_range(hash);
    const auto same = std::find_if(
        first, last, [&](const auto& place) { return equal(entries[place.second].first, key); });
    if (same != last) {
      entries[same->second].second = std::move(value);
      continue;
    }
    places_.emplace(hash, entries.size());
    entries.emplace_back(std::move(key), std::move(value));
  }
  count_steps(entries.size() + 1);
  charge_ = Charge(sizeof(Mapping) + entries.size() * (2 * sizeof(Value) + 48));
}

const Value* Mapping::find(const Value& key) const {
  const auto [first, last] = places_.equal_range(hash_of(key));
  for (auto place = first; place != last; ++place)
    if (equal(entries[place->second].first, key)) return &entries[place->second].second;
  return nullptr;
}

const Value* Mapping::find(std::string_view key) const { return find(Value::text(key)); }

Value make_mapping(Mapping::Entries entries) {
  return std::make_shared<const Mapping>(std::move(entries));
}

TextRef Object::repr() const { return make_text(fmt::format("<{} object>", type_name())); }
std::optional<Value> Object::attribute(std::string_view) { return std::nullopt; }
std::optional<Value> Object::item(const Value&) { return std::nullopt; }
Value Object::call(Interpreter&, const Arguments&) {
  throw Fault(fmt::format("'{}' object is not callable", type_name()));
}
std::shared_ptr<Iterator> Object::iterate() { return nullptr; }

std::string type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::number:
      return "float";
    case Kind::text:
      return value.as_text().is_markup() ? "Markup" : "str";
    case Kind::sequence:
      return value.as_sequence().is_tuple ? "tuple" : "list";
    case Kind::mapping:
      return "dict";
    case Kind::object:
      break;
  }
  return value.as_object().type_name();
}

void fail_undefined(const Value& value) { throw Fault(value.undefined_message()); }

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return value.as_bool();
    case Kind::integer:
      return !value.as_integer().is_zero();
    case Kind::number:
      return value.as_number() != 0;
    case Kind::text:
      return !value.as_text().bytes().empty();
    case Kind::sequence:
      return !value.as_sequence().items.empty();
    case Kind::mapping:
      return !value.as_mapping().entries.empty();
    case Kind::object:
      break;
  }
  return value.as_object().length().value_or(1) != 0;
}

bool has_length(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::text:
    case Kind::sequence:
    case Kind::mapping:
      return true;
    case Kind::object:
      return value.as_object().length().has_value();
    default:
      return false;
  }
}

std::int64_t length_of(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return 0;
    case Kind::text:
      return value.as_text().length();
    case Kind::sequence:
      return static_cast<std::int64_t>(value.as_sequence().items.size());
    case Kind::mapping:
      return static_cast<std::int64_t>(value.as_mapping().entries.size());
    case Kind::object:
      if (const auto length = value.as_object().length()) return *length;
      break;
    default:
      break;
  }
  throw Fault(fmt::format("object of type '{}' has no len()", type_name(value)));
}

}  // namespace bitaxon::jinja
