// Objects that are neither numbers, texts, lists nor mappings.
#pragma once

#include <fmt/format.h>

#include "template/value.h"

namespace bitaxon::jinja {

struct SliceIndices;

/// range(start, stop, step)
class Range : public Object {
 public:
  Range(std::int64_t start, std::int64_t stop, std::int64_t step, std::int64_t count)
      : start_(start), stop_(stop), step_(step), count_(count) {}
  std::string type_name() const override { return "range"; }
  TextRef repr() const override;
  std::optional<Value> item(const Value& key) override;
  std::optional<Value> attribute(std::string_view name) override;
  std::shared_ptr<Iterator> iterate() override;
  std::optional<std::int64_t> length() override { return count_; }
  /// The number at an index, which may count from the end. Empty outside.
  std::optional<Value> at(std::int64_t index) const;
  Value slice(const SliceIndices& slice) const;

 private:
  std::int64_t start_, stop_, step_, count_;
};

/// The result of a mapping's keys(), values() or items().
class View : public Object {
 public:
  View(std::string name, Value items)
      : Object(items.depth()), name_(std::move(name)), items_(std::move(items)) {}
  std::string type_name() const override { return name_; }
  TextRef repr() const override;
  std::shared_ptr<Iterator> iterate() override { return jinja::iterate(items_); }
  std::optional<std::int64_t> length() override { return length_of(items_); }

 private:
  std::string name_;
  Value items_;
};

/// namespace(...): the only object whose contents a template can change.
class Namespace : public Object {
 public:
  std::string type_name() const override { return "Namespace"; }
  TextRef repr() const override;
  std::optional<Value> attribute(std::string_view name) override;
  void set(std::string_view name, Value value);
  /// Forgets all values, which may refer to the namespace itself.
  void clear() { values_.clear(); }

 private:
  std::vector<std::pair<std::string, Value>> values_;
  std::vector<Charge> charges_;
};

/// A function with a name: a method bound to its value, or a global function.
class Function : public Object {
 public:
  using Body = Value (*)(Interpreter& interpreter, const Value& self, const Arguments& arguments);
  Function(std::string name, Body body, Value self = {})
      : Object(self.depth()), name_(std::move(name)), body_(body), self_(std::move(self)) {}
  std::string type_name() const override { return "builtin_function_or_method"; }
  TextRef repr() const override { return make_text(fmt::format("<built-in method {}>", name_)); }
  bool is_callable() const override { return true; }
  Value call(Interpreter& interpreter, const Arguments& arguments) override {
    return body_(interpreter, self_, arguments);
  }

 private:
  std::string name_;
  Body body_;
  Value self_;
};

inline Value make_function(std::string name, Function::Body body, Value self = {}) {
  return Value(
      std::static_pointer_cast<Object>(std::make_shared<Function>(std::move(name), body, self)));
}

/// Python's reversed(): an iterator.
Value reversed(const Value& value);

}  // namespace bitaxon::jinja
