// Filters that compare items: sort, unique, min, max, groupby.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "template/comparison.h"
#include "template/filters.h"

namespace bitaxon::jinja {
namespace {

struct Keyed {
  Value key;
  Value item;
};

/// Sorts by the keys; equal items keep their order.
void sort_by_key(std::vector<Keyed>& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(b.key, a.key) : less(a.key, b.key);
  });
}

Value key_of(const Value& item, const Value& attribute, bool case_sensitive) {
  const Value value = dotted_attribute(item, attribute);
  return case_sensitive ? value : ignoring_case(value);
}

/// The keys of a sort: one for each of the attributes, which commas separate.
Value sort_key(const Value& item, const Value& attribute, bool case_sensitive) {
  std::vector<Value> keys;
  if (!attribute.is(Kind::text)) {
    keys.push_back(key_of(item, attribute, case_sensitive));
  } else {
    const std::string& names = attribute.as_text().bytes();
    for (std::size_t begin = 0; begin <= names.size();) {
      const std::size_t end = std::min(names.find(',', begin), names.size());
      keys.push_back(key_of(item, Value::text(names.substr(begin, end - begin)), case_sensitive));
      begin = end + 1;
    }
  }
  return Value::list(std::move(keys));
}

Value filter_sort(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("sort", arguments, {"value", "reverse", "case_sensitive", "attribute"},
                             1);
  std::vector<Keyed> items;
  for (Value& item : items_of(bound[0])) {
    Value key = sort_key(item, bound.value(3), bound.flag(2, false));
    items.push_back({std::move(key), std::move(item)});
  }
  sort_by_key(items, bound.flag(1, false));
  std::vector<Value> sorted;
  for (Keyed& keyed : items) sorted.push_back(std::move(keyed.item));
  return Value::list(std::move(sorted));
}

Value filter_dictsort(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("dictsort", arguments, {"value", "case_sensitive", "by", "reverse"},
                             1);
  const std::string by = bound.has(2) ? bound.text(2).bytes() : "key";
  if (by != "key" && by != "value") throw Fault("You can only sort by either \"key\" or \"value\"");
  if (bound[0].is_undefined()) fail_undefined(bound[0]);
  if (!bound[0].is(Kind::mapping))
    throw Fault(fmt::format("'{}' object has no attribute 'items'", type_name(bound[0])));
  std::vector<Keyed> items;
  for (const auto& [key, value] : bound[0].as_mapping().entries) {
    const Value& wanted = by == "key" ? key : value;
    items.push_back(
        {bound.flag(1, false) ? wanted : ignoring_case(wanted), Value::tuple({key, value})});
  }
  sort_by_key(items, bound.flag(3, false));
  std::vector<Value> sorted;
  for (Keyed& keyed : items) sorted.push_back(std::move(keyed.item));
  return Value::list(std::move(sorted));
}

Value filter_unique(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("unique", arguments, {"value", "case_sensitive", "attribute"}, 1);
  std::unordered_multimap<std::uint64_t, Value> seen;
  std::vector<Value> unique;
  for (Value& item : items_of(bound[0])) {
    Value key = key_of(item, bound.value(2), bound.flag(1, false));
    const std::uint64_t hash = hash_of(key);
    const auto [first, last] = seen.equal_range(hash);
    if (std::any_of(first, last, [&](const auto& entry) { return equal(entry.second, key); }))
      continue;
    seen.emplace(hash, std::move(key));
    unique.push_back(std::move(item));
  }
  return Value(std::static_pointer_cast<Object>(iterate(Value::list(std::move(unique)))));
}

template <bool kMax>
Value filter_extreme(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound(kMax ? "max" : "min", arguments,
                             {"value", "case_sensitive", "attribute"}, 1);
  std::optional<Keyed> best;
  for (Value& item : items_of(bound[0])) {
    Value key = key_of(item, bound.value(2), bound.flag(1, false));
    if (!best || (kMax ? less(best->key, key) : less(key, best->key)))
      best = Keyed{std::move(key), std::move(item)};
  }
  if (!best) return Value::undefined("No aggregated item, sequence was empty.");
  return best->item;
}

Value filter_groupby(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("groupby", arguments,
                             {"value", "attribute", "default", "case_sensitive"}, 2);
  const bool case_sensitive = bound.flag(3, false);
  const auto attribute = [&](const Value& item) {
    const Value value = dotted_attribute(item, bound[1]);
    return value.is_undefined() && bound.is_set(2) ? bound[2] : value;
  };
  std::vector<Keyed> items;
  for (Value& item : items_of(bound[0])) {
    const Value value = attribute(item);
    items.push_back({case_sensitive ? value : ignoring_case(value), std::move(item)});
  }
  sort_by_key(items, false);
  std::vector<Value> groups;
  for (std::size_t begin = 0; begin < items.size();) {
    std::vector<Value> members;
    std::size_t end = begin;
    for (; end < items.size() && equal(items[end].key, items[begin].key); ++end)
      members.push_back(items[end].item);
    Value grouper = case_sensitive ? items[begin].key : attribute(items[begin].item);
    auto group = std::make_shared<Sequence>(
        std::vector<Value>{std::move(grouper), Value::list(std::move(members))}, true);
    group->is_group = true;
    groups.emplace_back(std::shared_ptr<const Sequence>(std::move(group)));
    begin = end;
  }
  return Value::list(std::move(groups));
}

}  // namespace

void add_sorting_filters(FilterTable& table) {
  table.insert({{"sort", filter_sort},
                {"dictsort", filter_dictsort},
                {"unique", filter_unique},
                {"min", filter_extreme<false>},
                {"max", filter_extreme<true>},
                {"groupby", filter_groupby}});
}

}  // namespace bitaxon::jinja
