#include "template/filters.h"

#include <fmt/format.h>

#include "template/attributes.h"
#include "template/unicode.h"

namespace bitaxon::jinja {
namespace {

const FilterTable& filters() {
  static const FilterTable table = [] {
    FilterTable all;
    add_text_filters(all);
    add_number_filters(all);
    add_sequence_filters(all);
    add_sorting_filters(all);
    add_selecting_filters(all);
    return all;
  }();
  return table;
}

Value attribute_part(const Value& value, std::string_view part) {
  if (part.find_first_not_of("0123456789") == part.npos && !part.empty())
    if (const std::optional<Integer> index = Integer::of_digits(part, 10))
      return item_of(value, *index);
  return item_of(value, Value::text(part));
}

}  // namespace

bool is_filter(std::string_view name) { return filters().contains(name); }

Value apply_filter(Interpreter& interpreter, std::string_view name, const Arguments& arguments) {
  const Nested nested;
  const auto found = filters().find(name);
  if (found == filters().end()) throw Fault(fmt::format("No filter named '{}'.", name));
  return found->second(interpreter, arguments);
}

Value dotted_attribute(const Value& value, const Value& attribute) {
  if (attribute.is_none()) return value;
  if (!attribute.is(Kind::text)) return item_of(value, attribute);
  Value result = value;
  const std::string_view path = attribute.as_text().view();
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    result = attribute_part(result, path.substr(begin, end - begin));
    begin = end + 1;
  }
  return result;
}

Value ignoring_case(const Value& value) {
  if (!value.is(Kind::text)) return value;
  return Value(derived(value.as_text(), lower(value.as_text().view())));
}

}  // namespace bitaxon::jinja
