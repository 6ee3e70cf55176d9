#include "template/loop.h"

#include <fmt/format.h>

#include "template/comparison.h"

namespace bitaxon::jinja {
namespace {

Loop& loop_of(const Value& self) { return *self.as<Loop>(); }

Value method_cycle(Interpreter&, const Value& self, const Arguments& arguments) {
  return loop_of(self).cycle(arguments);
}

Value method_changed(Interpreter&, const Value& self, const Arguments& arguments) {
  return loop_of(self).changed(arguments);
}

/// The rest of an iterator, read into a list.
std::shared_ptr<Iterator> read_rest(const std::shared_ptr<Iterator>& iterator,
                                    std::int64_t& count) {
  std::vector<Value> items;
  while (std::optional<Value> next = iterator->next()) {
    expect_room((items.size() + 1) * sizeof(Value));
    items.push_back(std::move(*next));
  }
  count = static_cast<std::int64_t>(items.size());
  return iterate(Value::list(std::move(items)));
}

}  // namespace

Loop::Loop(Value iterable, std::shared_ptr<Iterator> iterator, int depth0)
    : Object(-1, sizeof(Loop)),
      iterable_(std::move(iterable)),
      iterator_(std::move(iterator)),
      depth0_(depth0) {}

TextRef Loop::repr() const {
  return make_text(fmt::format("<LoopContext {}/{}>", index0_ + 1, length_.value_or(0)));
}

std::optional<Value> Loop::advance() {
  std::optional<Value> next = std::exchange(after_, std::nullopt);
  if (!next) next = iterator_->next();
  if (!next) return std::nullopt;
  ++index0_;
  before_ = std::exchange(current_, next);
  return next;
}

bool Loop::is_last() {
  if (!after_) after_ = iterator_->next();
  return !after_.has_value();
}

std::optional<std::int64_t> Loop::length() {
  if (length_) return length_;
  if (has_length(iterable_)) return length_ = length_of(iterable_);
  std::int64_t rest = 0;
  iterator_ = read_rest(iterator_, rest);
  return length_ = rest + index0_ + 1 + (after_ ? 1 : 0);
}

std::optional<Value> Loop::attribute(std::string_view name) {
  if (name == "index") return Value::integer(index0_ + 1);
  if (name == "index0") return Value::integer(index0_);
  if (name == "first") return Value(index0_ == 0);
  if (name == "last") return Value(is_last());
  if (name == "length") return Value::integer(*length());
  if (name == "revindex") return Value::integer(*length() - index0_);
  if (name == "revindex0") return Value::integer(*length() - index0_ - 1);
  if (name == "depth") return Value::integer(depth0_ + 1);
  if (name == "depth0") return Value::integer(depth0_);
  if (name == "previtem")
    return index0_ > 0 ? before_ : Value::undefined("there is no previous item");
  if (name == "nextitem") return is_last() ? Value::undefined("there is no next item") : after_;
  const auto self = Value(std::static_pointer_cast<Object>(shared_from_this()));
  if (name == "cycle") return make_function("cycle", method_cycle, self);
  if (name == "changed") return make_function("changed", method_changed, self);
  return std::nullopt;
}

Value Loop::call(Interpreter& interpreter, const Arguments& arguments) {
  if (!recursive_)
    throw Fault("The loop must have the 'recursive' marker to be called recursively.");
  if (arguments.positional.size() != 1 || !arguments.named.empty())
    throw Fault("loop() takes one argument");
  return interpreter.recurse(*recursive_, *outer_, arguments.positional[0], depth0_ + 1);
}

void Loop::allow_recursion(const Statement& statement, Env& outer) {
  recursive_ = &statement;
  outer_ = &outer;
}

void Loop::close() { iterator_ = jinja::iterate(Value::list({})); }

void Loop::clear() {
  iterable_ = None{};
  iterator_ = nullptr;
  before_ = current_ = after_ = last_changed_ = std::nullopt;
}

Value Loop::cycle(const Arguments& arguments) const {
  if (arguments.positional.empty()) throw Fault("no items for cycling given");
  return arguments.positional[static_cast<std::size_t>(index0_) % arguments.positional.size()];
}

Value Loop::changed(const Arguments& arguments) {
  Value value = Value::tuple(arguments.positional);
  if (last_changed_ && equal(*last_changed_, value)) return false;
  last_changed_ = std::move(value);
  return true;
}

}  // namespace bitaxon::jinja
