// The functions that every template has.
#include <fmt/format.h>

#include <algorithm>

#include "template/arguments.h"
#include "template/comparison.h"
#include "template/interpreter.h"
#include "template/printing.h"
#include "template/strftime.h"

namespace bitaxon::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;

/// A value that range() takes: cut to a size at which nothing overflows.
std::int64_t range_value(const Value& value) {
  constexpr std::int64_t kEnd = std::int64_t{1} << 60;
  return std::clamp(index_value(value), -kEnd, kEnd);
}

Value function_range(Interpreter&, const Value&, const Arguments& arguments) {
  const BoundArguments bound("range", arguments, {"start", "stop", "step"}, 1);
  if (!arguments.named.empty()) throw Fault("range() takes no keyword arguments");
  const std::int64_t start = bound.has(1) ? range_value(bound[0]) : 0;
  const std::int64_t stop = range_value(bound[bound.has(1) ? 1 : 0]);
  const std::int64_t step = bound.has(2) ? range_value(bound[2]) : 1;
  if (step == 0) throw Fault("range() arg 3 must not be zero");
  std::int64_t count = 0;
  if (step > 0 && start < stop) count = (stop - start - 1) / step + 1;
  if (step < 0 && start > stop) count = (start - stop - 1) / -step + 1;
  if (count > kMaxRange)
    throw Fault(fmt::format("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).",
                            kMaxRange));
  return Value(std::static_pointer_cast<Object>(std::make_shared<Range>(start, stop, step, count)));
}

/// The entries that dict() and namespace() take: of a mapping or of pairs, and named ones.
Mapping::Entries entries_of(const Arguments& arguments) {
  Mapping::Entries entries;
  if (arguments.positional.size() > 1)
    throw Fault(
        fmt::format("dict expected at most 1 argument, got {}", arguments.positional.size()));
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional[0];
    if (from.is(Kind::mapping)) {
      entries = from.as_mapping().entries;
    } else {
      for (const Value& pair : items_of(from)) {
        std::vector<Value> both = items_of(pair);
        if (both.size() != 2)
          throw Fault("dictionary update sequence element has a wrong length; 2 is required");
        entries.emplace_back(std::move(both[0]), std::move(both[1]));
      }
    }
  }
  for (const auto& [name, value] : arguments.named) entries.emplace_back(Value::text(name), value);
  return entries;
}

Value function_dict(Interpreter&, const Value&, const Arguments& arguments) {
  return make_mapping(entries_of(arguments));
}

Value function_namespace(Interpreter& interpreter, const Value&, const Arguments& arguments) {
  Value space = interpreter.make_namespace();
  for (const auto& [key, value] : entries_of(arguments))
    if (key.is(Kind::text)) space.as<Namespace>()->set(key.as_text().bytes(), value);
  return space;
}

Value function_raise(Interpreter&, const Value&, const Arguments& arguments) {
  const BoundArguments bound("raise_exception", arguments, {"message"}, 1);
  throw Raised(text_of(bound[0])->bytes());
}

Value function_strftime(Interpreter& interpreter, const Value&, const Arguments& arguments) {
  const BoundArguments bound("strftime_now", arguments, {"format"}, 1);
  const Text& format = bound.text(0);
  return Value(derived(format, formatted_time(format.bytes(), interpreter.now())));
}

Value function_lipsum(Interpreter&, const Value&, const Arguments&) {
  throw Fault("lipsum() is not supported: its text is random");
}

/// cycler(...): yields its items again and again.
class Cycler : public Object, public std::enable_shared_from_this<Cycler> {
 public:
  explicit Cycler(const Value& items) : Object(items.depth()), items_(items) {}
  std::string type_name() const override { return "Cycler"; }
  std::optional<Value> attribute(std::string_view name) override;

  const Value& current() const { return items_.as_sequence().items[place_]; }
  void advance() { place_ = (place_ + 1) % items_.as_sequence().items.size(); }
  void reset() { place_ = 0; }

 private:
  Value items_;
  std::size_t place_ = 0;
};

Value method_next(Interpreter&, const Value& self, const Arguments&) {
  Cycler& cycler = *self.as<Cycler>();
  Value value = cycler.current();
  cycler.advance();
  return value;
}

Value method_reset(Interpreter&, const Value& self, const Arguments&) {
  self.as<Cycler>()->reset();
  return None{};
}

std::optional<Value> Cycler::attribute(std::string_view name) {
  const Value self(std::static_pointer_cast<Object>(shared_from_this()));
  if (name == "next") return make_function("next", method_next, self);
  if (name == "reset") return make_function("reset", method_reset, self);
  if (name == "current") return current();
  if (name == "items") return items_;
  if (name == "pos") return Value::integer(static_cast<std::int64_t>(place_));
  return std::nullopt;
}

/// joiner(separator): nothing at the first call, then the separator.
class Joiner : public Object {
 public:
  explicit Joiner(const Value& separator) : Object(separator.depth()), separator_(separator) {}
  std::string type_name() const override { return "Joiner"; }
  bool is_callable() const override { return true; }
  Value call(Interpreter&, const Arguments& arguments) override {
    const BoundArguments bound("joiner", arguments, {});
    return std::exchange(used_, true) ? separator_ : Value::text("");
  }
  std::optional<Value> attribute(std::string_view name) override {
    if (name == "sep") return separator_;
    if (name == "used") return Value(used_);
    return std::nullopt;
  }

 private:
  Value separator_;
  bool used_ = false;
};

Value function_cycler(Interpreter&, const Value&, const Arguments& arguments) {
  if (arguments.positional.empty()) throw Fault("at least one item has to be provided");
  return Value(std::static_pointer_cast<Object>(
      std::make_shared<Cycler>(Value::tuple(arguments.positional))));
}

Value function_joiner(Interpreter&, const Value&, const Arguments& arguments) {
  const BoundArguments bound("joiner", arguments, {"sep"});
  return Value(std::static_pointer_cast<Object>(
      std::make_shared<Joiner>(bound.value(0, Value::text(", ")))));
}

}  // namespace

std::optional<Value> global_function(std::string_view name) {
  static const std::unordered_map<std::string_view, Function::Body> kFunctions = {
      {"range", function_range},           {"dict", function_dict},
      {"namespace", function_namespace},   {"raise_exception", function_raise},
      {"strftime_now", function_strftime}, {"lipsum", function_lipsum},
      {"cycler", function_cycler},         {"joiner", function_joiner},
  };
  const auto found = kFunctions.find(name);
  if (found == kFunctions.end()) return std::nullopt;
  return make_function(std::string(name), found->second);
}

}  // namespace bitaxon::jinja
