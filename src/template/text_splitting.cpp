// Methods of texts that cut and join.
#include <fmt/format.h>

#include <algorithm>

#include "template/arguments.h"
#include "template/methods.h"
#include "template/objects.h"
#include "template/printing.h"
#include "template/unicode.h"

namespace bitaxon::jinja {
namespace {

/// The byte where the character that ends at `end` begins.
std::size_t previous(std::string_view text, std::size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
  return end;
}

bool space_at(std::string_view text, std::size_t at) { return is_space(next_code_point(text, at)); }

std::size_t after(std::string_view text, std::size_t at) {
  next_code_point(text, at);
  return at;
}

void add_part(std::vector<Value>& parts, const Text& text, std::size_t begin, std::size_t end) {
  expect_room((parts.size() + 1) * sizeof(Value));
  parts.emplace_back(part_of(text, begin, end));
}

std::vector<Value> split_at_spaces(const Text& text, std::int64_t limit) {
  std::vector<Value> parts;
  const std::string_view bytes = text.view();
  std::size_t at = 0;
  while (true) {
    while (at < bytes.size() && space_at(bytes, at)) at = after(bytes, at);
    if (at == bytes.size()) return parts;
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) break;
    const std::size_t begin = at;
    while (at < bytes.size() && !space_at(bytes, at)) at = after(bytes, at);
    add_part(parts, text, begin, at);
  }
  parts.emplace_back(part_of(text, at, bytes.size()));
  return parts;
}

std::vector<Value> split_at_spaces_from_end(const Text& text, std::int64_t limit) {
  std::vector<Value> parts;
  const std::string_view bytes = text.view();
  std::size_t end = bytes.size();
  while (true) {
    while (end > 0 && space_at(bytes, previous(bytes, end))) end = previous(bytes, end);
    if (end == 0) break;
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.emplace_back(part_of(text, 0, end));
      break;
    }
    const std::size_t stop = end;
    while (end > 0 && !space_at(bytes, previous(bytes, end))) end = previous(bytes, end);
    add_part(parts, text, end, stop);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

const Text* text_or_null(const BoundArguments& bound, std::size_t parameter) {
  return bound.is_set(parameter) ? &bound.text(parameter) : nullptr;
}

Value method_split(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("split", arguments, {"sep", "maxsplit"});
  return Value::list(split(self.as_text(), text_or_null(bound, 0), bound.integer(1, -1)));
}

Value method_rsplit(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("rsplit", arguments, {"sep", "maxsplit"});
  return Value::list(split_from_end(self.as_text(), text_or_null(bound, 0), bound.integer(1, -1)));
}

Value method_splitlines(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("splitlines", arguments, {"keepends"});
  return Value::list(split_lines(self.as_text(), bound.flag(0, false)));
}

Value partition(const Text& text, const Text& separator, std::size_t place, bool from_end) {
  if (separator.bytes().empty()) throw Fault("empty separator");
  const Value empty = Value::text("");
  const Value whole(part_of(text, 0, text.bytes().size()));
  if (place == std::string::npos)
    return from_end ? Value::tuple({empty, empty, whole}) : Value::tuple({whole, empty, empty});
  const std::size_t end = place + separator.bytes().size();
  return Value::tuple({Value(part_of(text, 0, place)), Value(part_of(text, place, end)),
                       Value(part_of(text, end, text.bytes().size()))});
}

Value method_partition(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("partition", arguments, {"sep"}, 1);
  return partition(self.as_text(), bound.text(0),
                   find_bytes(self.as_text().view(), bound.text(0).view()), false);
}

Value method_rpartition(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("rpartition", arguments, {"sep"}, 1);
  return partition(self.as_text(), bound.text(0),
                   rfind_bytes(self.as_text().view(), bound.text(0).view()), true);
}

template <bool kLeft, bool kRight>
Value method_strip(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("strip", arguments, {"chars"});
  return Value(strip(self.as_text(), text_or_null(bound, 0), kLeft, kRight));
}

Value method_replace(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("replace", arguments, {"old", "new", "count"}, 2);
  return Value(replace(self.as_text(), bound.text(0), bound.text(1), bound.integer(2, -1)));
}

Value method_join(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("join", arguments, {"iterable"}, 1);
  return Value(join_texts(self.as_text(), items_of(bound[0])));
}

template <bool kPrefix>
Value method_remove(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("removeprefix", arguments, {"affix"}, 1);
  const Text& text = self.as_text();
  const std::string_view affix = bound.text(0).view();
  if (kPrefix && text.view().starts_with(affix))
    return Value(part_of(text, affix.size(), text.bytes().size()));
  if (!kPrefix && text.view().ends_with(affix))
    return Value(part_of(text, 0, text.bytes().size() - affix.size()));
  return self;
}

}  // namespace

std::vector<Value> split(const Text& text, const Text* separator, std::int64_t limit) {
  if (!separator) return split_at_spaces(text, limit);
  const std::string_view bytes = text.view(), mark = separator->view();
  if (mark.empty()) throw Fault("empty separator");
  std::vector<Value> parts;
  std::size_t begin = 0;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t place = find_bytes(bytes, mark, begin);
    if (place == std::string::npos) break;
    add_part(parts, text, begin, place);
    begin = place + mark.size();
  }
  add_part(parts, text, begin, bytes.size());
  return parts;
}

std::vector<Value> split_from_end(const Text& text, const Text* separator, std::int64_t limit) {
  if (!separator) return split_at_spaces_from_end(text, limit);
  if (limit < 0) return split(text, separator, -1);
  const std::string_view bytes = text.view(), mark = separator->view();
  if (mark.empty()) throw Fault("empty separator");
  std::vector<Value> parts;
  std::size_t end = bytes.size();
  while (static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t place = rfind_bytes(bytes.substr(0, end), mark);
    if (place == std::string::npos) break;
    count_steps(end / 64);
    add_part(parts, text, place + mark.size(), end);
    end = place;
  }
  add_part(parts, text, 0, end);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Value> split_lines(const Text& text, bool keep_ends) {
  std::vector<Value> lines;
  const std::string_view bytes = text.view();
  std::size_t begin = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = at;
    const char32_t c = next_code_point(bytes, at);
    const bool is_end =
        (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!is_end) continue;
    if (c == '\r' && at < bytes.size() && bytes[at] == '\n') ++at;
    add_part(lines, text, begin, keep_ends ? at : end);
    begin = at;
  }
  if (begin < bytes.size()) add_part(lines, text, begin, bytes.size());
  return lines;
}

TextRef strip(const Text& text, const Text* characters, bool left, bool right) {
  const std::u32string set = characters ? code_points(characters->view()) : std::u32string();
  const std::string_view bytes = text.view();
  const auto goes = [&](std::size_t at) {
    const char32_t c = next_code_point(bytes, at);
    count_steps(1 + set.size() / 64);
    return characters ? set.find(c) != std::u32string::npos : is_space(c);
  };
  std::size_t begin = 0, end = bytes.size();
  while (left && begin < end && goes(begin)) begin = after(bytes, begin);
  while (right && end > begin && goes(previous(bytes, end))) end = previous(bytes, end);
  return part_of(text, begin, end);
}

TextRef replace(const Text& text, const Text& old, const Text& replacement, std::int64_t limit) {
  TextBuilder result;
  const std::string_view bytes = text.view(), mark = old.view();
  std::size_t begin = 0;
  std::size_t at = 0;
  for (std::int64_t done = 0; limit < 0 || done < limit; ++done) {
    const std::size_t place = find_bytes(bytes, mark, at);
    if (place == std::string::npos) break;
    count_steps(1);
    result.add(text, begin, place);
    // What stands for a user's text stays a user's text, or parts of it could join to a special
    // token.
    if (text.is_input(place, place + mark.size()))
      result.add_input(replacement.view());
    else
      result.add(replacement);
    begin = at = place + mark.size();
    if (!mark.empty()) continue;
    // An empty text stands before every character and at the end.
    if (at == bytes.size()) break;
    at = after(bytes, at);
    result.add(text, begin, at);
    begin = at;
  }
  return result.add(text, begin, bytes.size()).finish(text.is_markup());
}

TextRef join_texts(const Text& separator, const std::vector<Value>& items) {
  TextBuilder result;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is(Kind::text))
      throw Fault(
          fmt::format("sequence item {}: expected str instance, {} found", i, type_name(items[i])));
    if (i > 0) result.add(separator);
    count_steps(1);
    result.add(separator.is_markup() ? *escaped(items[i]) : items[i].as_text());
  }
  return result.finish(separator.is_markup());
}

std::optional<Value> splitting_method(const Value& text, std::string_view name) {
  static const std::unordered_map<std::string_view, Function::Body> kMethods = {
      {"split", method_split},
      {"rsplit", method_rsplit},
      {"splitlines", method_splitlines},
      {"partition", method_partition},
      {"rpartition", method_rpartition},
      {"strip", method_strip<true, true>},
      {"lstrip", method_strip<true, false>},
      {"rstrip", method_strip<false, true>},
      {"replace", method_replace},
      {"join", method_join},
      {"removeprefix", method_remove<true>},
      {"removesuffix", method_remove<false>},
  };
  const auto found = kMethods.find(name);
  if (found == kMethods.end()) return std::nullopt;
  return make_function(std::string(name), found->second, text);
}

}  // namespace bitaxon::jinja
