// Iterators over all kinds of values.
#include <fmt/format.h>

#include <algorithm>

#include "template/objects.h"
#include "template/value.h"

namespace bitaxon::jinja {
namespace {

class EmptyIterator : public Iterator {
 public:
  std::optional<Value> next() override { return std::nullopt; }
};

class TextIterator : public Iterator {
 public:
  explicit TextIterator(TextRef text) : text_(std::move(text)) {}
  std::string type_name() const override { return "str_iterator"; }
  std::optional<Value> next() override {
    if (at_ >= text_->bytes().size()) return std::nullopt;
    count_steps(1);
    const std::size_t begin = at_;
    next_code_point(text_->view(), at_);
    // Python yields plain texts even from a Markup.
    TextBuilder character;
    return Value(character.add(*text_, begin, at_).finish());
  }

 private:
  TextRef text_;
  std::size_t at_ = 0;
};

class SequenceIterator : public Iterator {
 public:
  explicit SequenceIterator(std::shared_ptr<const Sequence> items)
      : Iterator(items->depth), items_(std::move(items)) {}
  std::string type_name() const override { return "list_iterator"; }
  std::optional<Value> next() override {
    count_steps(1);
    if (at_ >= items_->items.size()) return std::nullopt;
    return items_->items[at_++];
  }

 private:
  std::shared_ptr<const Sequence> items_;
  std::size_t at_ = 0;
};

class KeyIterator : public Iterator {
 public:
  explicit KeyIterator(std::shared_ptr<const Mapping> mapping)
      : Iterator(mapping->depth), mapping_(std::move(mapping)) {}
  std::string type_name() const override { return "dict_keyiterator"; }
  std::optional<Value> next() override {
    count_steps(1);
    if (at_ >= mapping_->entries.size()) return std::nullopt;
    return mapping_->entries[at_++].first;
  }

 private:
  std::shared_ptr<const Mapping> mapping_;
  std::size_t at_ = 0;
};

class RangeIterator : public Iterator {
 public:
  RangeIterator(std::int64_t start, std::int64_t step, std::int64_t count)
      : value_(start), step_(step), left_(count) {}
  std::string type_name() const override { return "range_iterator"; }
  std::optional<Value> next() override {
    count_steps(1);
    if (left_ == 0) return std::nullopt;
    --left_;
    const Value result = Value::integer(value_);
    if (left_ > 0) value_ += step_;
    return result;
  }

 private:
  std::int64_t value_, step_, left_;
};

}  // namespace

std::shared_ptr<Iterator> try_iterate(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return Iterator::make<EmptyIterator>();
    case Kind::text:
      return Iterator::make<TextIterator>(value.text_ref());
    case Kind::sequence:
      return Iterator::make<SequenceIterator>(value.sequence_ref());
    case Kind::mapping:
      return Iterator::make<KeyIterator>(value.mapping_ref());
    case Kind::object:
      return value.as_object().iterate();
    default:
      return nullptr;
  }
}

std::shared_ptr<Iterator> iterate(const Value& value) {
  if (std::shared_ptr<Iterator> iterator = try_iterate(value)) return iterator;
  throw Fault(fmt::format("'{}' object is not iterable", type_name(value)));
}

std::vector<Value> items_of(const Value& value) {
  std::vector<Value> items;
  const std::shared_ptr<Iterator> iterator = iterate(value);
  while (std::optional<Value> next = iterator->next()) {
    expect_room((items.size() + 1) * sizeof(Value));
    items.push_back(std::move(*next));
  }
  return items;
}

std::optional<Value> Range::at(std::int64_t index) const {
  if (index < 0) index += count_;
  if (index < 0 || index >= count_) return std::nullopt;
  return Value::integer(start_ + index * step_);
}

TextRef Range::repr() const {
  return make_text(step_ == 1 ? fmt::format("range({}, {})", start_, stop_)
                              : fmt::format("range({}, {}, {})", start_, stop_, step_));
}

std::optional<Value> Range::item(const Value& key) {
  if (!key.is_integral()) return std::nullopt;
  return at(key.as_integer().clamped());
}

std::optional<Value> Range::attribute(std::string_view name) {
  if (name == "start") return Value::integer(start_);
  if (name == "stop") return Value::integer(stop_);
  if (name == "step") return Value::integer(step_);
  return std::nullopt;
}

std::shared_ptr<Iterator> Range::iterate() {
  return Iterator::make<RangeIterator>(start_, step_, count_);
}

Value reversed(const Value& value) {
  std::vector<Value> items;
  if (value.is(Kind::sequence)) {
    items = value.as_sequence().items;
  } else if (value.is(Kind::mapping) || value.as<Range>() || value.as<View>()) {
    items = items_of(value);
  } else {
    throw Fault(fmt::format("'{}' object is not reversible", type_name(value)));
  }
  std::reverse(items.begin(), items.end());
  return Value(std::static_pointer_cast<Object>(
      Iterator::make<SequenceIterator>(std::make_shared<const Sequence>(std::move(items), false))));
}

}  // namespace bitaxon::jinja
