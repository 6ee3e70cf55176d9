// Methods of texts that test their characters.
#include "template/arguments.h"
#include "template/methods.h"
#include "template/objects.h"
#include "template/unicode.h"

namespace bitaxon::jinja {
namespace {

/// Whether the text is not empty and all characters pass.
template <bool (*kTest)(char32_t)>
Value method_all(Interpreter&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound("method", arguments, {});
  const std::u32string text = code_points(self.as_text().view());
  for (const char32_t c : text)
    if (!kTest(c)) return false;
  return !text.empty();
}

bool is_alphanumeric(char32_t c) { return is_alphabetic(c) || is_numeric(c) || is_digit(c); }

Value method_isascii(Interpreter&, const Value& self, const Arguments&) {
  return self.as_text().is_ascii();
}

Value method_isprintable(Interpreter&, const Value& self, const Arguments&) {
  for (const char32_t c : code_points(self.as_text().view()))
    if (!is_printable(c)) return false;
  return true;
}

Value method_isidentifier(Interpreter&, const Value& self, const Arguments&) {
  const std::u32string text = code_points(self.as_text().view());
  for (std::size_t i = 0; i < text.size(); ++i)
    if (!(text[i] == '_' || is_alphabetic(text[i]) || (i > 0 && is_numeric(text[i])))) return false;
  return !text.empty();
}

template <bool kUpper>
bool has_one_case(const Text& text) {
  bool found = false;
  for (const char32_t c : code_points(text.view())) {
    if (is_title(c) || (kUpper ? is_lower(c) : is_upper(c))) return false;
    found = found || (kUpper ? is_upper(c) : is_lower(c));
  }
  return found;
}

template <bool kUpper>
Value method_iscase(Interpreter&, const Value& self, const Arguments&) {
  return has_one_case<kUpper>(self.as_text());
}

Value method_istitle(Interpreter&, const Value& self, const Arguments&) {
  bool found = false, in_word = false;
  for (const char32_t c : code_points(self.as_text().view())) {
    const bool begins = is_upper(c) || is_title(c);
    if (begins && in_word) return false;
    if (is_lower(c) && !in_word) return false;
    in_word = begins || is_lower(c);
    found = found || in_word;
  }
  return found;
}

}  // namespace

bool is_upper_text(const Text& text) { return has_one_case<true>(text); }
bool is_lower_text(const Text& text) { return has_one_case<false>(text); }

std::optional<Value> testing_method(const Value& text, std::string_view name) {
  static const std::unordered_map<std::string_view, Function::Body> kMethods = {
      {"isalnum", method_all<is_alphanumeric>},
      {"isalpha", method_all<is_alphabetic>},
      {"isascii", method_isascii},
      {"isdecimal", method_all<is_decimal>},
      {"isdigit", method_all<is_digit>},
      {"isidentifier", method_isidentifier},
      {"islower", method_iscase<false>},
      {"isupper", method_iscase<true>},
      {"isnumeric", method_all<is_numeric>},
      {"isprintable", method_isprintable},
      {"isspace", method_all<is_space>},
      {"istitle", method_istitle},
  };
  const auto found = kMethods.find(name);
  if (found == kMethods.end()) return std::nullopt;
  return make_function(std::string(name), found->second, text);
}

}  // namespace bitaxon::jinja
