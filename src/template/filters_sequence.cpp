// Filters of lists and other things with items.
#include <fmt/format.h>

#include <algorithm>

#include "template/arithmetic.h"
#include "template/attributes.h"
#include "template/filters.h"
#include "template/methods.h"
#include "template/objects.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

/// Items as an iterator: the original yields them one by one, so they have no length.
Value as_iterator(std::vector<Value> items) {
  return Value(std::static_pointer_cast<Object>(iterate(Value::list(std::move(items)))));
}

Value filter_length(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("length", arguments, {"obj"}, 1);
  return Value::integer(length_of(bound[0]));
}

Value filter_list(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("list", arguments, {"value"}, 1);
  return Value::list(items_of(bound[0]));
}

Value filter_first(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("first", arguments, {"seq"}, 1);
  if (std::optional<Value> first = iterate(bound[0])->next()) return *std::move(first);
  return Value::undefined("No first item, sequence was empty.");
}

Value filter_last(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("last", arguments, {"seq"}, 1);
  if (bound[0].is(Kind::text) && bound[0].as_text().length() > 0)
    return item_of(bound[0], Value::integer(-1));
  std::vector<Value> items;
  if (!bound[0].is(Kind::text) && !bound[0].is_undefined()) items = items_of(reversed(bound[0]));
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.front();
}

Value filter_reverse(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("reverse", arguments, {"value"}, 1);
  if (!bound[0].is(Kind::text)) {
    std::vector<Value> items = items_of(bound[0]);
    std::reverse(items.begin(), items.end());
    return as_iterator(std::move(items));
  }
  const Text& text = bound[0].as_text();
  TextBuilder result;
  std::vector<Value> characters = items_of(bound[0]);
  for (auto character = characters.rbegin(); character != characters.rend(); ++character)
    result.add(character->as_text());
  return Value(result.finish(text.is_markup()));
}

Value filter_join(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("join", arguments, {"value", "d", "attribute"}, 1);
  const TextRef separator = bound.has(1) ? text_of(bound[1]) : make_text("");
  const std::shared_ptr<Iterator> items = iterate(bound[0]);
  TextBuilder result;
  bool first = true;
  while (const std::optional<Value> item = items->next()) {
    if (!first) result.add(*separator);
    first = false;
    print(result, bound.is_set(2) ? dotted_attribute(*item, bound[2]) : *item);
  }
  return Value(result.finish());
}

Value filter_sum(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("sum", arguments, {"iterable", "attribute", "start"}, 1);
  Value sum = bound.value(2, Value::integer(0));
  if (sum.is(Kind::text)) throw Fault("sum() can't sum strings");
  const std::shared_ptr<Iterator> items = iterate(bound[0]);
  while (const std::optional<Value> item = items->next())
    sum = binary(BinaryOp::add, sum, bound.is_set(1) ? dotted_attribute(*item, bound[1]) : *item);
  return sum;
}

Value filter_items(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("items", arguments, {"value"}, 1);
  std::vector<Value> items;
  if (bound[0].is_undefined()) return as_iterator({});
  if (!bound[0].is(Kind::mapping)) throw Fault("Can only get item pairs from a mapping.");
  for (const auto& [key, value] : bound[0].as_mapping().entries)
    items.push_back(Value::tuple({key, value}));
  return as_iterator(std::move(items));
}

/// How many lists or items a filter may make.
std::size_t checked_count(std::int64_t count) {
  expect_room(static_cast<std::size_t>(std::max<std::int64_t>(0, count)));
  return static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, std::int64_t{1} << 28));
}

Value filter_batch(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("batch", arguments, {"value", "linecount", "fill_with"}, 2);
  const std::int64_t size = bound.integer(1, 1);
  std::vector<Value> batches, batch;
  for (Value& item : items_of(bound[0])) {
    if (static_cast<std::int64_t>(batch.size()) == size)
      batches.push_back(Value::list(std::exchange(batch, {})));
    batch.push_back(std::move(item));
  }
  if (!batch.empty()) {
    if (bound.is_set(2)) {
      expect_room(checked_count(size) * sizeof(Value));
      while (static_cast<std::int64_t>(batch.size()) < size) {
        count_steps(1);
        batch.push_back(bound[2]);
      }
    }
    batches.push_back(Value::list(std::move(batch)));
  }
  return as_iterator(std::move(batches));
}

Value filter_slice(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("slice", arguments, {"value", "slices", "fill_with"}, 2);
  const std::vector<Value> items = items_of(bound[0]);
  if (bound.integer(1, 1) == 0) throw Fault("integer division or modulo by zero");
  const std::size_t slices = checked_count(bound.integer(1, 1));
  std::vector<Value> result;
  std::size_t at = 0;
  for (std::size_t i = 0; i < slices; ++i) {
    count_steps(1);
    const bool has_extra = i < items.size() % slices;
    const std::size_t end = at + items.size() / slices + (has_extra ? 1 : 0);
    std::vector<Value> slice(items.begin() + static_cast<std::ptrdiff_t>(at),
                             items.begin() + static_cast<std::ptrdiff_t>(end));
    at = end;
    if (bound.is_set(2) && !has_extra) slice.push_back(bound[2]);
    result.push_back(Value::list(std::move(slice)));
  }
  return as_iterator(std::move(result));
}

}  // namespace

void add_sequence_filters(FilterTable& table) {
  table.insert({{"length", filter_length},
                {"count", filter_length},
                {"list", filter_list},
                {"first", filter_first},
                {"last", filter_last},
                {"reverse", filter_reverse},
                {"join", filter_join},
                {"sum", filter_sum},
                {"items", filter_items},
                {"batch", filter_batch},
                {"slice", filter_slice}});
}

}  // namespace bitaxon::jinja
