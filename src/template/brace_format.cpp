#include <fmt/format.h>

#include "template/attributes.h"
#include "template/formatting.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

class BraceFormat {
 public:
  BraceFormat(const Text& format, const Arguments& arguments)
      : format_(format), arguments_(arguments) {}

  Value run() {
    TextBuilder result;
    expand(result, format_, 2);
    return Value(result.finish(format_.is_markup()));
  }

 private:
  void expand(TextBuilder& result, const Text& format, int levels) {
    if (levels == 0) throw Fault("Max string recursion exceeded");
    const std::string_view bytes = format.view();
    std::size_t at = 0;
    while (at < bytes.size()) {
      const std::size_t brace = std::min(bytes.find_first_of("{}", at), bytes.size());
      result.add(format, at, brace);
      at = brace;
      if (at == bytes.size()) break;
      if (at + 1 < bytes.size() && bytes[at + 1] == bytes[at]) {
        result.add(format, at, at + 1);
        at += 2;
      } else if (bytes[at] == '}') {
        throw Fault("Single '}' encountered in format string");
      } else {
        const std::size_t end = end_of_field(bytes, at + 1);
        field(result, *part_of(format, at + 1, end), levels);
        at = end + 1;
      }
    }
  }

  static std::size_t end_of_field(std::string_view bytes, std::size_t at) {
    for (int level = 1; at < bytes.size(); ++at) {
      if (bytes[at] == '[') {
        const std::size_t close = bytes.find(']', at);
        if (close != bytes.npos) at = close;
        continue;
      }
      level += bytes[at] == '{' ? 1 : bytes[at] == '}' ? -1 : 0;
      if (level == 0) return at;
    }
    throw Fault("expected '}' before end of string");
  }

  void field(TextBuilder& result, const Text& field_text, int levels) {
    const std::string_view bytes = field_text.view();
    std::size_t end_of_name = 0;
    while (end_of_name < bytes.size() && bytes[end_of_name] != '!' && bytes[end_of_name] != ':') {
      if (bytes[end_of_name] == '[') {
        const std::size_t close = bytes.find(']', end_of_name);
        if (close != bytes.npos) end_of_name = close;
      }
      ++end_of_name;
    }
    Value value = lookup(bytes.substr(0, end_of_name));
    std::size_t at = end_of_name;
    if (at < bytes.size() && bytes[at] == '!') {
      if (at + 1 >= bytes.size() || (at + 2 < bytes.size() && bytes[at + 2] != ':'))
        throw Fault("expected ':' after conversion specifier");
      value = converted(value, bytes[at + 1]);
      at += 2;
    }
    std::string spec;
    if (at < bytes.size()) {
      TextBuilder spec_text;
      expand(spec_text, *part_of(field_text, at + 1, bytes.size()), levels - 1);
      spec = spec_text.finish()->bytes();
    }
    result.add(
        *format_value(format_.is_markup() && spec.empty() ? Value(escaped(value)) : value, spec));
  }

  static Value converted(const Value& value, char conversion) {
    if (conversion == 's') return Value(text_of(value));
    if (conversion == 'a' && value.is(Kind::text) && !value.as_text().is_markup())
      return Value(derived(value.as_text(), quoted_text(value.as_text().view(), true)));
    if (conversion != 'r' && conversion != 'a')
      throw Fault(fmt::format("Unknown conversion specifier {}", conversion));
    TextBuilder text;
    print_repr(text, value);
    return Value(text.finish());
  }

  Value lookup(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, end));
    std::size_t at = end;
    while (at < name.size()) {
      const bool item = name[at] == '[';
      const std::size_t stop =
          item ? name.find(']', at) : std::min(name.find_first_of(".[", at + 1), name.size());
      if (stop == name.npos) throw Fault("expected ']' before end of string");
      const std::string_view key = name.substr(at + 1, stop - at - 1);
      if (key.empty()) throw Fault("Empty attribute in format string");
      if (item) {
        const std::optional<Integer> index = Integer::of_digits(key, 10);
        value = item_of(value, index ? Value(*index) : Value::text(key));
      } else {
        value = attribute_of(value, key);
      }
      at = item ? stop + 1 : stop;
    }
    return value;
  }

  Value first(std::string_view name) {
    std::optional<Integer> index = Integer::of_digits(name, 10);
    if (name.empty()) index = Integer(automatic_++);
    if (index) {
      const std::int64_t place = index->clamped();
      if (place >= static_cast<std::int64_t>(arguments_.positional.size()))
        throw Fault(
            fmt::format("Replacement index {} out of range for positional args tuple", place));
      return arguments_.positional[static_cast<std::size_t>(place)];
    }
    for (const auto& [key, value] : arguments_.named)
      if (key == name) return value;
    throw Fault(quoted_text(name));
  }

  const Text& format_;
  const Arguments& arguments_;
  std::int64_t automatic_ = 0;
};

}  // namespace

Value brace_format(const Text& format, const Arguments& arguments) {
  return BraceFormat(format, arguments).run();
}

}  // namespace bitaxon::jinja
