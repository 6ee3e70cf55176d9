// Values of the template language: those of Python that templates can reach.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "template/integer.h"
#include "template/limits.h"
#include "template/text.h"

namespace bitaxon::jinja {

class Interpreter;
class Iterator;
class Object;
class Value;
struct Mapping;
struct Sequence;

/// An undefined value. `message` says what using it would fail with.
struct Undefined {
  std::string message;
};
struct None {};

/// Containers may lie in each other at most this deep.
inline constexpr int kMaxValueDepth = 200;
/// `depth`. Throws Fault if it exceeds kMaxValueDepth.
int checked_depth(int depth);

enum class Kind { undefined, none, boolean, integer, number, text, sequence, mapping, object };

class Value {
 public:
  Value() : data_(None{}) {}
  Value(None) : data_(None{}) {}                                             // NOLINT
  Value(bool value) : data_(value) {}                                        // NOLINT
  Value(Integer value) : data_(std::move(value)) {}                          // NOLINT
  Value(double value) : data_(value) {}                                      // NOLINT
  Value(TextRef value) : data_(std::move(value)) {}                          // NOLINT
  Value(std::shared_ptr<const Sequence> value) : data_(std::move(value)) {}  // NOLINT
  Value(std::shared_ptr<const Mapping> value) : data_(std::move(value)) {}   // NOLINT
  Value(std::shared_ptr<Object> value) : data_(std::move(value)) {}          // NOLINT
  static Value undefined(std::string message);
  static Value text(std::string_view text) { return make_text(std::string(text)); }
  static Value integer(std::int64_t value) { return Integer(value); }
  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is(Kind kind_wanted) const { return kind() == kind_wanted; }
  bool is_undefined() const { return is(Kind::undefined); }
  bool is_none() const { return is(Kind::none); }
  /// An integer, where true and false count as 1 and 0.
  bool is_integral() const { return is(Kind::integer) || is(Kind::boolean); }
  bool is_numeric() const { return is_integral() || is(Kind::number); }

  bool as_bool() const { return std::get<bool>(data_); }
  /// The integer of an integral value.
  Integer as_integer() const;
  double as_number() const { return std::get<double>(data_); }
  const Text& as_text() const { return *std::get<TextRef>(data_); }
  const TextRef& text_ref() const { return std::get<TextRef>(data_); }
  const Sequence& as_sequence() const;
  const Mapping& as_mapping() const;
  const std::shared_ptr<const Sequence>& sequence_ref() const;
  const std::shared_ptr<const Mapping>& mapping_ref() const;
  Object& as_object() const;
  const std::shared_ptr<Object>& object_ref() const;
  /// The object as a T, or null.
  template <class T>
  T* as() const;
  const std::string& undefined_message() const;
  /// Whether both are the same object, as Python's `is`.
  bool same_as(const Value& other) const;
  /// How many containers lie in each other, at most.
  int depth() const;

 private:
  // In the order of Kind.
  std::variant<std::shared_ptr<const Undefined>, None, bool, Integer, double, TextRef,
               std::shared_ptr<const Sequence>, std::shared_ptr<const Mapping>,
               std::shared_ptr<Object>>
      data_;
};

/// A list or a tuple.
struct Sequence {
  Sequence(std::vector<Value> sequence_items, bool tuple);
  std::vector<Value> items;
  bool is_tuple;
  /// A pair of groupby(), which also has the attributes grouper and list.
  bool is_group = false;
  int depth;
  Charge charge;
};

/// A dict. Keeps the order in which the keys were added.
struct Mapping {
  using Entries = std::vector<std::pair<Value, Value>>;
  /// Of equal keys, the first place and the last value count. Throws Fault for keys that Python
  /// cannot hash.
  explicit Mapping(Entries all);
  /// The value of a key. Null if there is none. Throws Fault for a key that cannot be hashed.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;

  Entries entries;
  int depth;

 private:
  std::unordered_multimap<std::uint64_t, std::size_t> places_;
  Charge charge_;
};

Value make_mapping(Mapping::Entries entries);

/// The arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Any other object. The default of each function is what Python does with an object that cannot do
/// it.
class Object {
 public:
  /// `inner_depth` is the depth of the values that the object holds; -1 if it holds none, or if the
  /// interpreter clears it. Throws Fault if the object would lie too deep.
  explicit Object(int inner_depth = -1, std::size_t size = 64)
      : depth_(checked_depth(inner_depth + 1)), charge_(size) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  virtual std::string type_name() const = 0;
  virtual TextRef repr() const;
  /// An attribute, or nothing.
  virtual std::optional<Value> attribute(std::string_view name);
  virtual std::optional<Value> item(const Value& key);
  virtual bool is_callable() const { return false; }
  virtual Value call(Interpreter& interpreter, const Arguments& arguments);
  /// A new iterator. Null if the object cannot be iterated.
  virtual std::shared_ptr<Iterator> iterate();
  virtual std::optional<std::int64_t> length() { return std::nullopt; }
  int depth() const { return depth_; }

 private:
  int depth_;
  Charge charge_;
};

template <class T>
T* Value::as() const {
  return is(Kind::object) ? dynamic_cast<T*>(&as_object()) : nullptr;
}

/// Yields values one at a time. It is an object itself: Python's generators and iterators.
class Iterator : public Object {
 public:
  using Object::Object;
  std::string type_name() const override { return "generator"; }
  std::shared_ptr<Iterator> iterate() override { return self_.lock(); }
  /// The next value, or nothing at the end.
  virtual std::optional<Value> next() = 0;

  template <class T, class... Args>
  static std::shared_ptr<T> make(Args&&... args) {
    auto iterator = std::make_shared<T>(std::forward<Args>(args)...);
    iterator->self_ = iterator;
    return iterator;
  }

 private:
  std::weak_ptr<Iterator> self_;
};

/// The name of the type in messages: "str", "int", "NoneType".
std::string type_name(const Value& value);
/// Python's bool().
bool truth(const Value& value);
/// Python's len(). Throws Fault for values without a length.
std::int64_t length_of(const Value& value);
bool has_length(const Value& value);
/// An iterator over a value. Throws Fault if it cannot be iterated.
std::shared_ptr<Iterator> iterate(const Value& value);
/// Null if the value cannot be iterated.
std::shared_ptr<Iterator> try_iterate(const Value& value);
/// All values of an iteration.
std::vector<Value> items_of(const Value& value);
/// Throws Fault with the message of an undefined value.
[[noreturn]] void fail_undefined(const Value& value);

}  // namespace bitaxon::jinja
