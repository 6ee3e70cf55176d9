#include "template/printing.h"

#include <fmt/format.h>

#include "template/numbers.h"
#include "template/objects.h"
#include "template/unicode.h"

namespace bitaxon::jinja {
namespace {

void print_items(TextBuilder& text, const Sequence& sequence) {
  const Nested nested;
  text.add(sequence.is_tuple ? "(" : "[");
  for (std::size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) text.add(", ");
    print_repr(text, sequence.items[i]);
  }
  if (sequence.is_tuple && sequence.items.size() == 1) text.add(",");
  text.add(sequence.is_tuple ? ")" : "]");
}

void print_entries(TextBuilder& text, const Mapping& mapping) {
  const Nested nested;
  text.add("{");
  for (std::size_t i = 0; i < mapping.entries.size(); ++i) {
    if (i > 0) text.add(", ");
    print_repr(text, mapping.entries[i].first);
    text.add(": ");
    print_repr(text, mapping.entries[i].second);
  }
  text.add("}");
}

}  // namespace

std::string quoted_text(std::string_view text, bool ascii_only) {
  const bool doubles = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = doubles ? '"' : '\'';
  std::string result(1, quote);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    if (c == static_cast<char32_t>(quote) || c == '\\')
      result += {'\\', static_cast<char>(c)};
    else if (c == '\n')
      result += "\\n";
    else if (c == '\r')
      result += "\\r";
    else if (c == '\t')
      result += "\\t";
    else if (is_printable(c) && !(ascii_only && c > 0x7e))
      result += text.substr(begin, at - begin);
    else if (c < 0x100)
      result += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    else if (c < 0x10000)
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      result += fmt::format("\\U{:08x}", static_cast<unsigned>(c));
  }
  result += quote;
  count_steps(result.size() / 16);
  return result;
}

void print_repr(TextBuilder& text, const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      text.add("Undefined");
      break;
    case Kind::text: {
      const Text& content = value.as_text();
      if (content.is_markup()) text.add("Markup(");
      text.add(quoted_text(content.view()), !content.input().empty());
      if (content.is_markup()) text.add(")");
      break;
    }
    case Kind::sequence:
      print_items(text, value.as_sequence());
      break;
    case Kind::mapping:
      print_entries(text, value.as_mapping());
      break;
    case Kind::object:
      text.add(*value.as_object().repr());
      break;
    default:
      print(text, value);
  }
}

void print(TextBuilder& text, const Value& value) {
  count_steps(1);
  switch (value.kind()) {
    case Kind::undefined:
      break;
    case Kind::none:
      text.add("None");
      break;
    case Kind::boolean:
      text.add(value.as_bool() ? "True" : "False");
      break;
    case Kind::integer:
      text.add(value.as_integer().text());
      break;
    case Kind::number:
      text.add(float_text(value.as_number()));
      break;
    case Kind::text:
      text.add(value.as_text());
      break;
    default:
      print_repr(text, value);
  }
}

TextRef text_of(const Value& value) {
  if (value.is(Kind::text)) return value.text_ref();
  TextBuilder text;
  print(text, value);
  return text.finish();
}

std::string repr(const Value& value) {
  TextBuilder text;
  print_repr(text, value);
  return text.finish()->bytes();
}

TextRef escaped(const Value& value) {
  const TextRef text = text_of(value);
  if (text->is_markup()) return text;
  TextBuilder result;
  const std::string_view bytes = text->view();
  std::size_t begin = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const std::string_view entity = bytes[at] == '&'    ? "&amp;"
                                    : bytes[at] == '<'  ? "&lt;"
                                    : bytes[at] == '>'  ? "&gt;"
                                    : bytes[at] == '"'  ? "&#34;"
                                    : bytes[at] == '\'' ? "&#39;"
                                                        : "";
    if (entity.empty()) continue;
    result.add(*text, begin, at).add(entity, text->is_input(at, at + 1));
    begin = at + 1;
  }
  return result.add(*text, begin, bytes.size()).finish(true);
}

TextRef View::repr() const {
  TextBuilder text;
  text.add(name_).add("(");
  print_repr(text, items_);
  return text.add(")").finish();
}

TextRef Namespace::repr() const {
  const Nested nested;
  TextBuilder text;
  text.add("<Namespace {");
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (i > 0) text.add(", ");
    text.add(quoted_text(values_[i].first)).add(": ");
    print_repr(text, values_[i].second);
  }
  return text.add("}>").finish();
}

}  // namespace bitaxon::jinja
