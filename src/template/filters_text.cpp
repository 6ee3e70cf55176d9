// Filters of texts.
#include <fmt/format.h>

#include <algorithm>

#include "template/filters.h"
#include "template/formatting.h"
#include "template/json_values.h"
#include "template/methods.h"
#include "template/printing.h"
#include "template/unicode.h"

namespace bitaxon::jinja {
namespace {

template <std::string (*kChange)(std::string_view)>
Value filter_change(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("filter", arguments, {"s"}, 1);
  const TextRef text = text_of(bound[0]);
  return Value(derived(*text, kChange(text->view())));
}

/// Words begin with a capital and go on in lower case. Words end at white space and at - ( { [ <.
std::string words_capitalized(std::string_view text) {
  std::string result;
  std::string word;
  const auto flush = [&] {
    if (word.empty()) return;
    std::size_t first = 0;
    next_code_point(word, first);
    result += upper(std::string_view(word).substr(0, first));
    result += lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    const bool separates =
        is_space(c) || (c < 0x80 && std::string_view("-({[<").find(static_cast<char>(c)) !=
                                        std::string_view::npos);
    if (!separates) {
      word += text.substr(begin, at - begin);
      continue;
    }
    flush();
    result += text.substr(begin, at - begin);
  }
  flush();
  return result;
}

Value filter_string(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("string", arguments, {"object"}, 1);
  return Value(text_of(bound[0]));
}

Value filter_trim(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("trim", arguments, {"value", "chars"}, 1);
  return Value(strip(*text_of(bound[0]), bound.is_set(1) ? &bound.text(1) : nullptr, true, true));
}

Value filter_replace(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("replace", arguments, {"s", "old", "new", "count"}, 3);
  const std::int64_t limit = bound.is_set(3) ? bound.integer(3, -1) : -1;
  const TextRef text = text_of(bound[0]), old = text_of(bound[1]), by = text_of(bound[2]);
  // Without escaping, the result is a plain text.
  return Value(replace(*part_of(*text, 0, text->bytes().size()), *old, *by, limit));
}

Value filter_center(Interpreter& interpreter, const Arguments& arguments) {
  const BoundArguments bound("center", arguments, {"value", "width"}, 1);
  const Value text(text_of(bound[0]));
  Arguments width;
  width.positional.push_back(bound.value(1, Value::integer(80)));
  return text_method(text, "center")->as_object().call(interpreter, width);
}

Value filter_indent(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("indent", arguments, {"s", "width", "first", "blank"}, 1);
  if (bound[0].is_undefined()) fail_undefined(bound[0]);
  if (!bound[0].is(Kind::text))
    throw Fault(fmt::format("indent expects a str, got {}", type_name(bound[0])));
  TextRef indent;
  if (bound.has(1) && bound[1].is(Kind::text)) {
    indent = bound[1].text_ref();
  } else {
    const std::int64_t width = std::max<std::int64_t>(0, bound.integer(1, 4));
    indent = make_text(std::string(static_cast<std::size_t>(checked_width(Integer(width))), ' '));
  }
  const bool blank = bound.flag(3, false);
  TextBuilder with_newline;
  with_newline.add(bound[0].as_text()).add("\n");
  const std::vector<Value> lines = split_lines(*with_newline.finish(), false);
  TextBuilder result;
  if (bound.flag(2, false)) result.add(*indent);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) result.add("\n");
    if (i > 0 && (blank || lines[i].as_text().length() > 0)) result.add(*indent);
    result.add(lines[i].as_text());
  }
  return Value(result.finish(bound[0].as_text().is_markup()));
}

Value filter_truncate(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("truncate", arguments, {"s", "length", "killwords", "end", "leeway"},
                             1);
  const Value ellipsis = bound.value(3, Value::text("..."));
  const std::int64_t length = bound.integer(1, 255);
  const std::int64_t leeway = bound.is_set(4) ? bound.integer(4, 5) : 5;
  if (bound[0].is_undefined()) return bound[0];
  if (!ellipsis.is(Kind::text)) throw Fault("truncate expects a str as its end");
  const std::int64_t kept = length - ellipsis.as_text().length();
  if (kept < 0)
    throw Fault(fmt::format("expected length >= {}, got {}", ellipsis.as_text().length(), length));
  if (leeway < 0) throw Fault(fmt::format("expected leeway >= 0, got {}", leeway));
  if (length_of(bound[0]) <= length + leeway) return bound[0];
  if (!bound[0].is(Kind::text)) throw Fault("truncate expects a str, or something short");
  const Text& text = bound[0].as_text();
  TextRef part = part_of(text, 0, text.byte_of(kept));
  if (!bound.flag(2, false)) {
    const std::size_t space = part->view().rfind(' ');
    if (space != std::string_view::npos) part = part_of(*part, 0, space);
  }
  TextBuilder result;
  return Value(result.add(*part).add(ellipsis.as_text()).finish());
}

Value filter_wordcount(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("wordcount", arguments, {"s"}, 1);
  std::int64_t count = 0;
  bool in_word = false;
  for (const char32_t c : code_points(text_of(bound[0])->view())) {
    if (is_word(c) && !in_word) ++count;
    in_word = is_word(c);
  }
  return Value::integer(count);
}

Value filter_format(Interpreter&, const Arguments& arguments) {
  if (arguments.positional.empty()) throw Fault("format() missing required argument 'value'");
  const TextRef text = text_of(arguments.positional[0]);
  std::vector<Value> rest(arguments.positional.begin() + 1, arguments.positional.end());
  if (!rest.empty() && !arguments.named.empty())
    throw Fault("can't handle positional and keyword arguments at the same time");
  if (arguments.named.empty()) return percent_format(*text, Value::tuple(std::move(rest)));
  Mapping::Entries named;
  for (const auto& [name, value] : arguments.named) named.emplace_back(Value::text(name), value);
  return percent_format(*text, make_mapping(std::move(named)));
}

Value filter_escape(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("escape", arguments, {"s"}, 1);
  return Value(escaped(bound[0]));
}

Value filter_forceescape(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("forceescape", arguments, {"value"}, 1);
  TextBuilder plain;
  print(plain, bound[0]);
  return Value(escaped(Value(plain.finish())));
}

Value filter_safe(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("safe", arguments, {"value"}, 1);
  TextBuilder text;
  print(text, bound[0]);
  return Value(text.finish(true));
}

Value filter_striptags(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("striptags", arguments, {"value"}, 1);
  std::string text = text_of(bound[0])->bytes();
  for (const auto& [begin, end] :
       {std::pair<std::string_view, std::string_view>{"<!--", "-->"}, {"<", ">"}}) {
    std::string kept;
    std::size_t at = 0;
    while (true) {
      const std::size_t open = text.find(begin, at);
      const std::size_t close = open == text.npos ? open : text.find(end, open);
      if (close == text.npos) break;
      kept += text.substr(at, open - at);
      at = close + end.size();
    }
    text = kept + text.substr(at);
  }
  const bool input = !text_of(bound[0])->input().empty();
  std::vector<Value> words = split(*make_text(text, input), nullptr, -1);
  TextRef joined = join_texts(*make_text(" ", input), words);
  for (const auto& [entity, character] : {std::pair<const char*, const char*>{"&lt;", "<"},
                                          {"&gt;", ">"},
                                          {"&#34;", "\""},
                                          {"&#39;", "'"},
                                          {"&quot;", "\""},
                                          {"&amp;", "&"}})
    joined = replace(*joined, *make_text(entity), *make_text(character), -1);
  return Value(joined);
}

Value filter_urlencode(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("urlencode", arguments, {"value"}, 1);
  const auto encoded = [](const Value& value, bool in_query) {
    const TextRef text = text_of(value);
    std::string result;
    for (const char c : text->bytes()) {
      const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                         (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-' || c == '~' ||
                         (c == '/' && !in_query);
      if (plain)
        result += c;
      else if (c == ' ' && in_query)
        result += '+';
      else
        result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return make_text(result, !text->input().empty());
  };
  const Value& value = bound[0];
  if (value.is(Kind::text) || !try_iterate(value)) return Value(encoded(value, false));
  TextBuilder query;
  const auto add = [&](const Value& key, const Value& item) {
    if (query.size() > 0) query.add("&");
    query.add(*encoded(key, true)).add("=").add(*encoded(item, true));
  };
  if (value.is(Kind::mapping)) {
    for (const auto& [key, item] : value.as_mapping().entries) add(key, item);
  } else {
    for (const Value& pair : items_of(value)) {
      const std::vector<Value> both = items_of(pair);
      if (both.size() != 2) throw Fault("urlencode expects pairs");
      add(both[0], both[1]);
    }
  }
  return Value(query.finish());
}

Value filter_xmlattr(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("xmlattr", arguments, {"d", "autospace"}, 1);
  if (!bound[0].is(Kind::mapping)) throw Fault("xmlattr expects a mapping");
  TextBuilder result;
  for (const auto& [key, value] : bound[0].as_mapping().entries) {
    if (value.is_none() || value.is_undefined()) continue;
    if (text_of(key)->view().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos)
      throw Fault(fmt::format("Invalid character in attribute name: {}", repr(key)));
    if (result.size() > 0 || bound.flag(1, true)) result.add(" ");
    result.add(*escaped(key)).add("=\"").add(*escaped(value)).add("\"");
  }
  return Value(result.finish());
}

Value filter_tojson(Interpreter&, const Arguments& arguments) {
  const BoundArguments bound("tojson", arguments,
                             {"x", "ensure_ascii", "indent", "separators", "sort_keys"}, 1);
  JsonStyle style;
  style.ascii_only = bound.flag(1, false);
  style.sort_keys = bound.flag(4, false);
  if (bound.is_set(2)) {
    if (bound[2].is(Kind::text)) {
      style.indent = bound[2].as_text().bytes();
    } else {
      const std::int64_t width = std::max<std::int64_t>(0, bound.integer(2, 0));
      style.indent = std::string(static_cast<std::size_t>(checked_width(Integer(width))), ' ');
    }
    style.item_separator.assign(1, ',');
  }
  if (bound.is_set(3)) {
    const std::vector<Value> both = items_of(bound[3]);
    if (both.size() != 2 || !both[0].is(Kind::text) || !both[1].is(Kind::text))
      throw Fault("separators must be two texts");
    style.item_separator = both[0].as_text().bytes();
    style.key_separator = both[1].as_text().bytes();
  }
  return Value(write_json(bound[0], style));
}

}  // namespace

void add_text_filters(FilterTable& table) {
  table.insert({{"upper", filter_change<upper>},
                {"lower", filter_change<lower>},
                {"capitalize", filter_change<capitalized>},
                {"title", filter_change<words_capitalized>},
                {"string", filter_string},
                {"trim", filter_trim},
                {"replace", filter_replace},
                {"center", filter_center},
                {"indent", filter_indent},
                {"truncate", filter_truncate},
                {"wordcount", filter_wordcount},
                {"format", filter_format},
                {"escape", filter_escape},
                {"e", filter_escape},
                {"forceescape", filter_forceescape},
                {"safe", filter_safe},
                {"striptags", filter_striptags},
                {"urlencode", filter_urlencode},
                {"xmlattr", filter_xmlattr},
                {"tojson", filter_tojson}});
}

}  // namespace bitaxon::jinja
