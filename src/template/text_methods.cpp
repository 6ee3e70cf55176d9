// Methods of texts that change case, search, pad and format.
#include <fmt/format.h>

#include "template/arguments.h"
#include "template/attributes.h"
#include "template/formatting.h"
#include "template/methods.h"
#include "template/objects.h"
#include "template/unicode.h"

namespace bitaxon::jinja {
namespace {

template <std::string (*kChange)(std::string_view)>
Value method_change(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("method", arguments, {});
  return Value(derived(self.as_text(), kChange(self.as_text().view())));
}

/// The part of a text that the arguments start and end select, in bytes.
TextRange searched_part(const Text& text, const BoundArguments& bound) {
  const SliceIndices slice =
      slice_indices(text.length(), bound.value(1, None{}), bound.value(2, None{}), None{});
  return {text.byte_of(slice.start), text.byte_of(slice.start + slice.count)};
}

/// Whether start lies beyond the end, where even an empty text is not found.
bool starts_beyond(const Text& text, const BoundArguments& bound) {
  return bound.is_set(1) && bound.integer(1, 0) > text.length();
}

template <bool kFromEnd>
std::int64_t find(std::string_view name, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(name, arguments, {"sub", "start", "end"}, 1);
  const Text& text = self.as_text();
  const TextRange part = searched_part(text, bound);
  if (starts_beyond(text, bound)) return -1;
  const std::string_view bytes = text.view().substr(part.begin, part.end - part.begin);
  const std::string_view wanted = bound.text(0).view();
  const std::size_t place = kFromEnd ? rfind_bytes(bytes, wanted) : find_bytes(bytes, wanted);
  return place == std::string::npos ? -1 : text.index_of(part.begin + place);
}

template <bool kFromEnd>
Value method_find(Interpreter&, const Value& self, const Arguments& arguments) {
  return Value::integer(find<kFromEnd>("find", self, arguments));
}

template <bool kFromEnd>
Value method_index(Interpreter&, const Value& self, const Arguments& arguments) {
  const std::int64_t place = find<kFromEnd>("index", self, arguments);
  if (place < 0) throw Fault("substring not found");
  return Value::integer(place);
}

Value method_count(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("count", arguments, {"sub", "start", "end"}, 1);
  const Text& text = self.as_text();
  const TextRange part = searched_part(text, bound);
  if (starts_beyond(text, bound)) return Value::integer(0);
  const std::string_view bytes = text.view().substr(part.begin, part.end - part.begin);
  const std::string_view wanted = bound.text(0).view();
  if (wanted.empty())
    return Value::integer(text.index_of(part.end) - text.index_of(part.begin) + 1);
  std::int64_t count = 0;
  for (std::size_t at = find_bytes(bytes, wanted); at != std::string::npos;
       at = find_bytes(bytes, wanted, at + wanted.size())) {
    count_steps(1);
    ++count;
  }
  return Value::integer(count);
}

template <bool kPrefix>
Value method_affix(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(kPrefix ? "startswith" : "endswith", arguments,
                             {"affix", "start", "end"}, 1);
  const Text& text = self.as_text();
  const TextRange part = searched_part(text, bound);
  const std::string_view bytes = text.view().substr(part.begin, part.end - part.begin);
  const auto fits = [&](const Value& affix) {
    if (affix.is_undefined()) fail_undefined(affix);
    if (!affix.is(Kind::text))
      throw Fault(fmt::format("{} first arg must be str or a tuple of str, not {}",
                              kPrefix ? "startswith" : "endswith", type_name(affix)));
    const std::string_view wanted = affix.as_text().view();
    if (starts_beyond(text, bound)) return false;
    return kPrefix ? bytes.starts_with(wanted) : bytes.ends_with(wanted);
  };
  if (!bound[0].is(Kind::sequence) || !bound[0].as_sequence().is_tuple) return fits(bound[0]);
  for (const Value& affix : bound[0].as_sequence().items)
    if (fits(affix)) return true;
  return false;
}

template <char kAlign>
Value method_pad(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("center", arguments, {"width", "fillchar"}, 1);
  const Text& text = self.as_text();
  FormatSpec spec;
  spec.align = kAlign;
  spec.width = checked_width(Integer(bound.integer(0, 0)));
  if (bound.has(1)) {
    if (bound.text(1).length() != 1)
      throw Fault("The fill character must be exactly one character long");
    spec.fill = code_points(bound.text(1).view())[0];
  }
  const std::int64_t missing = spec.width - text.length();
  // Python puts the odd character of center() to the left if the width is odd.
  if (kAlign == '^' && missing > 0 && missing % 2 == 1 && spec.width % 2 == 1) {
    spec.width = text.length() + missing / 2 + 1;
    spec.align = '>';
    const TextRef left = padded(text, spec, '>');
    spec.width = text.length() + missing;
    spec.align = '<';
    return Value(padded(*left, spec, '<'));
  }
  return Value(padded(text, spec, kAlign));
}

Value method_zfill(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("zfill", arguments, {"width"}, 1);
  const Text& text = self.as_text();
  const std::int64_t missing = checked_width(Integer(bound.integer(0, 0))) - text.length();
  if (missing <= 0) return self;
  const bool sign = text.view().starts_with('-') || text.view().starts_with('+');
  expect_room(static_cast<std::size_t>(missing));
  TextBuilder result;
  result.add(text, 0, sign ? 1 : 0).add(std::string(static_cast<std::size_t>(missing), '0'));
  return Value(result.add(text, sign ? 1 : 0, text.bytes().size()).finish(text.is_markup()));
}

Value method_expandtabs(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("expandtabs", arguments, {"tabsize"});
  const std::int64_t size = checked_width(Integer(bound.integer(0, 8)));
  const Text& text = self.as_text();
  TextBuilder result;
  std::int64_t column = 0;
  for (std::size_t at = 0; at < text.bytes().size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text.view(), at);
    count_steps(1);
    if (c == '\t') {
      const std::int64_t spaces = size > 0 ? size - column % size : 0;
      expect_room(static_cast<std::size_t>(spaces));
      result.add(std::string(static_cast<std::size_t>(spaces), ' '), text.is_input(begin, at));
      column += spaces;
    } else {
      result.add(text, begin, at);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
  }
  return Value(result.finish(text.is_markup()));
}

Value method_format(Interpreter&, const Value& self, const Arguments& arguments) {
  return brace_format(self.as_text(), arguments);
}

Value method_format_map(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("format_map", arguments, {"mapping"}, 1);
  if (!bound[0].is(Kind::mapping)) throw Fault("format_map() argument must be a mapping");
  Arguments named;
  for (const auto& [key, value] : bound[0].as_mapping().entries)
    if (key.is(Kind::text)) named.named.emplace_back(key.as_text().bytes(), value);
  return brace_format(self.as_text(), named);
}

Value method_not_supported(Interpreter&, const Value&, const Arguments&) {
  throw Fault("the methods encode, translate and maketrans of str are not supported");
}

}  // namespace

std::optional<Value> text_method(const Value& text, std::string_view name) {
  static const std::unordered_map<std::string_view, Function::Body> kMethods = {
      {"upper", method_change<upper>},
      {"lower", method_change<lower>},
      {"title", method_change<titled>},
      {"capitalize", method_change<capitalized>},
      {"swapcase", method_change<case_swapped>},
      {"casefold", method_change<case_folded>},
      {"find", method_find<false>},
      {"rfind", method_find<true>},
      {"index", method_index<false>},
      {"rindex", method_index<true>},
      {"count", method_count},
      {"startswith", method_affix<true>},
      {"endswith", method_affix<false>},
      {"center", method_pad<'^'>},
      {"ljust", method_pad<'<'>},
      {"rjust", method_pad<'>'>},
      {"zfill", method_zfill},
      {"expandtabs", method_expandtabs},
      {"format", method_format},
      {"format_map", method_format_map},
      {"encode", method_not_supported},
      {"translate", method_not_supported},
      {"maketrans", method_not_supported},
  };
  if (const auto found = kMethods.find(name); found != kMethods.end())
    return make_function(std::string(name), found->second, text);
  if (std::optional<Value> method = splitting_method(text, name)) return method;
  return testing_method(text, name);
}

}  // namespace bitaxon::jinja
