// Filters that apply a filter or a test to each item: map, select, reject and their relatives.
#include <fmt/format.h>

#include <algorithm>

#include "template/filters.h"

namespace bitaxon::jinja {
namespace {

/// What both kinds of iterators have: the items, and arguments for each call.
class EachItem : public Iterator {
 public:
  EachItem(Interpreter& interpreter, const Arguments& arguments)
      : Iterator(depth_of(arguments)),
        interpreter_(interpreter),
        source_(arguments.positional.at(0)),
        arguments_(arguments) {
    arguments_.positional.erase(arguments_.positional.begin());
  }

  std::optional<Value> next() final {
    const Nested nested;
    if (!started_) {
      started_ = true;
      // Nothing is an error while there are no items, not even an unknown filter.
      if (!truth(source_)) return std::nullopt;
      prepare();
      items_ = jinja::iterate(source_);
    }
    return items_ ? next_of(*items_) : std::nullopt;
  }

 protected:
  /// Looks at the arguments, before the first item.
  virtual void prepare() = 0;
  virtual std::optional<Value> next_of(Iterator& items) = 0;

  /// Takes the first positional argument.
  Value take(std::string_view missing) {
    if (arguments_.positional.empty()) throw Fault(std::string(missing));
    Value value = arguments_.positional.front();
    arguments_.positional.erase(arguments_.positional.begin());
    return value;
  }
  static std::string name_of(const Value& value, std::string_view kind) {
    if (!value.is(Kind::text)) throw Fault(fmt::format("the name of a {} must be a text", kind));
    return value.as_text().bytes();
  }
  /// The arguments of a call for one item.
  Arguments arguments_for(const Value& item) const {
    Arguments result = arguments_;
    result.positional.insert(result.positional.begin(), item);
    return result;
  }

  Interpreter& interpreter_;
  Value source_;
  Arguments arguments_;
  std::shared_ptr<Iterator> items_;
  bool started_ = false;

 private:
  static int depth_of(const Arguments& arguments) {
    int deepest = 0;
    for (const Value& value : arguments.positional) deepest = std::max(deepest, value.depth());
    for (const auto& [name, value] : arguments.named) deepest = std::max(deepest, value.depth());
    return deepest;
  }
};

class MapItems : public EachItem {
 public:
  using EachItem::EachItem;

 protected:
  void prepare() override {
    const bool by_attribute =
        arguments_.positional.empty() &&
        std::any_of(arguments_.named.begin(), arguments_.named.end(),
                    [](const auto& argument) { return argument.first == "attribute"; });
    if (!by_attribute) {
      filter_ = name_of(take("map requires a filter argument"), "filter");
      return;
    }
    const BoundArguments bound("map", arguments_, {"attribute", "default"});
    attribute_ = bound[0];
    default_ = bound.value(1);
  }
  std::optional<Value> next_of(Iterator& items) override {
    const std::optional<Value> item = items.next();
    if (!item) return std::nullopt;
    if (!attribute_) return apply_filter(interpreter_, filter_, arguments_for(*item));
    Value value = dotted_attribute(*item, *attribute_);
    return value.is_undefined() && !default_.is_none() ? default_ : value;
  }

 private:
  std::string filter_;
  std::optional<Value> attribute_;
  Value default_;
};

class SelectItems : public EachItem {
 public:
  SelectItems(Interpreter& interpreter, const Arguments& arguments, bool wanted, bool by_attribute)
      : EachItem(interpreter, arguments), wanted_(wanted), by_attribute_(by_attribute) {}

 protected:
  void prepare() override {
    if (by_attribute_) attribute_ = take("Missing parameter for attribute name");
    if (!arguments_.positional.empty()) test_ = name_of(take(""), "test");
  }
  std::optional<Value> next_of(Iterator& items) override {
    while (std::optional<Value> item = items.next()) {
      const Value value = attribute_ ? dotted_attribute(*item, *attribute_) : *item;
      const bool holds =
          test_ ? apply_test(interpreter_, *test_, arguments_for(value)) : truth(value);
      if (holds == wanted_) return item;
    }
    return std::nullopt;
  }

 private:
  bool wanted_, by_attribute_;
  std::optional<Value> attribute_;
  std::optional<std::string> test_;
};

Value filter_map(Interpreter& interpreter, const Arguments& arguments) {
  return Value(std::static_pointer_cast<Object>(Iterator::make<MapItems>(interpreter, arguments)));
}

template <bool kWanted, bool kByAttribute>
Value filter_select(Interpreter& interpreter, const Arguments& arguments) {
  return Value(std::static_pointer_cast<Object>(
      Iterator::make<SelectItems>(interpreter, arguments, kWanted, kByAttribute)));
}

}  // namespace

void add_selecting_filters(FilterTable& table) {
  table.insert({{"map", filter_map},
                {"select", filter_select<true, false>},
                {"reject", filter_select<false, false>},
                {"selectattr", filter_select<true, true>},
                {"rejectattr", filter_select<false, true>}});
}

}  // namespace bitaxon::jinja
