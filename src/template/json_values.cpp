#include "template/json_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "formats/json.h"
#include "template/comparison.h"
#include "template/numbers.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

constexpr std::size_t kMaxJsonDepth = 100;

/// Receives nlohmann's events. Its own tree would turn large integers into floats.
class ValueBuilder {
 public:
  ValueBuilder(std::string_view name, bool input) : name_(name), input_(input) {}

  Value take() { return std::move(result_); }

  bool null() { return place(None{}); }
  bool boolean(bool value) { return place(value); }
  bool number_integer(Json::number_integer_t value) { return place(Value::integer(value)); }
  bool number_unsigned(Json::number_unsigned_t value) {
    const auto half = Value::integer(static_cast<std::int64_t>(value >> 1)).as_integer();
    return place(half + half + Integer(static_cast<std::int64_t>(value & 1)));
  }
  bool number_float(Json::number_float_t value, const std::string& digits) {
    if (digits.find_first_of(".eE") != std::string::npos) return place(value);
    if (std::optional<Integer> integer = read_integer(digits)) return place(*std::move(integer));
    return place(value);
  }
  bool string(std::string& value) { return place(make_text(std::move(value), input_)); }
  bool binary(Json::binary_t&) { return false; }  // text has no binary values

  bool start_object(std::size_t) { return open(true); }
  bool start_array(std::size_t) { return open(false); }
  bool key(std::string& name) {
    open_.back().keys.emplace_back(make_text(std::move(name), input_));
    return true;
  }
  bool end_object() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    Mapping::Entries entries;
    for (std::size_t i = 0; i < closed.values.size(); ++i)
      entries.emplace_back(std::move(closed.keys[i]), std::move(closed.values[i]));
    return place(make_mapping(std::move(entries)));
  }
  bool end_array() {
    std::vector<Value> items = std::move(open_.back().values);
    open_.pop_back();
    return place(Value::list(std::move(items)));
  }
  bool parse_error(std::size_t position, const std::string&, const Json::exception& error) {
    if (error.id == 406) throw InputFault(fmt::format("{}: a number is too large", name_));
    throw InputFault(
        fmt::format("{}: at byte {}: not JSON", name_, position > 0 ? position - 1 : 0));
  }

 private:
  struct Open {
    std::vector<Value> keys, values;
  };

  bool place(Value value) {
    if (open_.empty())
      result_ = std::move(value);
    else
      open_.back().values.push_back(std::move(value));
    return true;
  }
  bool open(bool) {
    if (open_.size() >= kMaxJsonDepth)
      throw InputFault(
          fmt::format("{}: expected at most {} levels of nesting, got more", name_, kMaxJsonDepth));
    open_.emplace_back();
    return true;
  }

  std::string_view name_;
  bool input_;
  std::vector<Open> open_;
  Value result_;
};

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  void write(const Value& value) {
    const Nested nested;
    switch (value.kind()) {
      case Kind::none:
        text_.add("null");
        return;
      case Kind::boolean:
        text_.add(value.as_bool() ? "true" : "false");
        return;
      case Kind::integer:
        text_.add(value.as_integer().text());
        return;
      case Kind::number:
        text_.add(number_text(value.as_number()));
        return;
      case Kind::text:
        return write_text(value.as_text());
      case Kind::sequence:
        return write_items(value.as_sequence());
      case Kind::mapping:
        return write_entries(value.as_mapping());
      default:
        throw Fault(fmt::format("Object of type {} is not JSON serializable", type_name(value)));
    }
  }

  TextRef finish() { return text_.finish(); }

 private:
  static std::string number_text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return float_text(value);
  }

  void write_text(const Text& text) {
    const bool input = !text.input().empty();
    std::string result = "\"";
    const std::string_view bytes = text.view();
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t begin = at;
      const char32_t c = next_code_point(bytes, at);
      if (const char* escape = short_escape(c))
        result += escape;
      else if (c >= 0x20 && (!style_.ascii_only || c < 0x7f))
        result += bytes.substr(begin, at - begin);
      else if (c < 0x10000)
        result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      else
        result +=
            fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + ((static_cast<unsigned>(c) - 0x10000) >> 10),
                        0xdc00 + (static_cast<unsigned>(c) & 0x3ff));
    }
    text_.add(result + '"', input);
  }

  static const char* short_escape(char32_t c) {
    switch (c) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\f':
        return "\\f";
      case '\b':
        return "\\b";
      default:
        return nullptr;
    }
  }

  void new_line() {
    if (!style_.indent) return;
    text_.add("\n");
    for (int i = 0; i < level_; ++i) text_.add(*style_.indent);
  }

  void write_items(const Sequence& sequence) {
    if (sequence.items.empty()) {
      text_.add("[]");
      return;
    }
    text_.add("[");
    ++level_;
    for (std::size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) text_.add(style_.item_separator);
      new_line();
      write(sequence.items[i]);
    }
    --level_;
    new_line();
    text_.add("]");
  }

  void write_entries(const Mapping& mapping) {
    if (mapping.entries.empty()) {
      text_.add("{}");
      return;
    }
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : mapping.entries) entries.push_back(&entry);
    if (style_.sort_keys)
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto* a, const auto* b) { return less(a->first, b->first); });
    text_.add("{");
    ++level_;
    bool first = true;
    for (const auto* entry : entries) {
      if (!first) text_.add(style_.item_separator);
      first = false;
      new_line();
      write_key(entry->first);
      text_.add(style_.key_separator);
      write(entry->second);
    }
    --level_;
    new_line();
    text_.add("}");
  }

  void write_key(const Value& key) {
    switch (key.kind()) {
      case Kind::text:
        return write_text(key.as_text());
      case Kind::none:
        return write_text(*make_text("null"));
      case Kind::boolean:
        return write_text(*make_text(key.as_bool() ? "true" : "false"));
      case Kind::integer:
        return write_text(*make_text(key.as_integer().text()));
      case Kind::number:
        return write_text(*make_text(number_text(key.as_number())));
      default:
        throw Fault(
            fmt::format("keys must be str, int, float, bool or None, not {}", type_name(key)));
    }
  }

  const JsonStyle& style_;
  TextBuilder text_;
  int level_ = 0;
};

}  // namespace

Value read_json(std::string_view json, std::string_view name, bool input) {
  json = without_byte_order_mark(json);
  // nlohmann takes a NUL as the end of the text and would ignore the rest.
  if (const std::size_t nul = json.find('\0'); nul != json.npos)
    throw InputFault(fmt::format("{}: at byte {}: not JSON: a NUL byte", name, nul));
  if (json.find_first_not_of(" \t\r\n") == json.npos)
    throw InputFault(fmt::format("{}: expected JSON, got an empty text", name));
  ValueBuilder builder(name, input);
  if (!Json::sax_parse(json.begin(), json.end(), &builder))
    throw InputFault(fmt::format("{}: not JSON", name));
  return builder.take();
}

TextRef write_json(const Value& value, const JsonStyle& style) {
  JsonWriter writer(style);
  writer.write(value);
  return writer.finish();
}

}  // namespace bitaxon::jinja
