#include "tokenizer/oniguruma.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "platform/utf8.h"

namespace bitaxon {

namespace {

// Rewrites an Oniguruma pattern for PCRE2, from left to right. Refuses syntax that Oniguruma and
// PCRE2 read differently.
class Translator {
 public:
  Translator(std::string_view pattern, std::string_view name) : pattern_(pattern), name_(name) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_character(c);
      } else {
        plain_character(c);
      }
    }
    return std::move(out_);
  }

 private:
  bool ahead(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  void copy(std::size_t n) {
    out_ += pattern_.substr(at_, n);
    at_ += n;
  }

  [[noreturn]] void refuse(std::size_t n) const {
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: pattern {}: {} at byte {} is not supported", name_,
                            in_quotes(pattern_), in_quotes(pattern_.substr(at_, n)), at_));
  }

  // Ruby allows nested and intersected classes. PCRE2 reads their brackets and && as plain
  // characters, except in [:alpha:].
  void class_character(char c) {
    if (c == '[' || ahead("&&")) refuse(2);
    const bool first = at_ == class_start_;
    if (c == ']' && !first) in_class_ = false;
    copy(1);
    if (first && c == '^') class_start_ = at_;
  }

  void plain_character(char c) {
    if (c == '[') {
      in_class_ = true;
      copy(1);
      class_start_ = at_;
      // The engines differ: "[]" is an empty class, or the start of a class with a bracket.
      if (ahead("]") || ahead("^]")) refuse(2);
    } else if (c == '(') {
      group();
    } else if (c == '{') {
      interval();
    } else {
      copy(1);
    }
  }

  void group() {
    if (!ahead("(?") && !ahead("(*")) return copy(1);
    // (?m) means "dot matches all" in Ruby. Other letters differ too, so only i is accepted.
    for (const std::string_view known :
         {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)", "(?-i:", "(?-i)"})
      if (ahead(known)) return copy(known.size());
    refuse(4);
  }

  // Accepts {n}, {n,} and {n,m}. Refuses {,m}, which only Ruby has, and {n,m}+, which is not
  // possessive in Ruby.
  void interval() {
    std::size_t end = at_ + 1;
    const auto digits = [&] {
      const std::size_t from = end;
      while (end < pattern_.size() && pattern_[end] >= '0' && pattern_[end] <= '9') ++end;
      return end > from;
    };
    const auto is = [&](char c) { return end < pattern_.size() && pattern_[end] == c; };
    if (!digits()) refuse(3);
    if (is(',')) {
      ++end;
      digits();
    }
    if (!is('}')) refuse(3);
    ++end;
    if (is('+')) refuse(end + 1 - at_);
    copy(end - at_);
  }

  void escape() {
    if (at_ + 1 == pattern_.size()) refuse(1);
    const char c = pattern_[at_ + 1];
    if (c == 's' || c == 'S') {
      space(c == 'S');
    } else if (c == 'p' || c == 'P') {
      property();
    } else if (c == 'x') {
      hexadecimal();
    } else if (std::string_view("rntfdD").find(c) != std::string_view::npos ||
               (c > ' ' && c < 0x7F && !is_alphanumeric(c))) {
      copy(2);
    } else if (!in_class_ && (c == 'A' || c == 'z')) {
      copy(2);
    } else {
      refuse(2);  // \w, \b, \h, \R, \X and others differ for some characters
    }
  }

  static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  }

  // In Oniguruma \s is Unicode White_Space. In PCRE2 with UCP \s also matches U+180E, and \S does
  // not. PCRE2 has a White_Space property too, but only since 10.40.
  void space(bool negated) {
    constexpr std::string_view kWhiteSpace =
        "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"
        "\\x{205F}\\x{3000}";
    if (!in_class_) {
      out_ += fmt::format("[{}{}]", negated ? "^" : "", kWhiteSpace);
    } else if (beside_hyphen()) {
      refuse(3);  // the rewritten list would become the end of a range
    } else if (negated) {
      out_ += "\\S\\x{180E}";
    } else {
      out_ += kWhiteSpace;
    }
    at_ += 2;
  }

  bool beside_hyphen() const {
    const bool before = at_ > class_start_ && pattern_[at_ - 1] == '-' && pattern_[at_ - 2] != '\\';
    const bool after =
        pattern_.substr(at_ + 2).starts_with('-') && !pattern_.substr(at_ + 3).starts_with(']');
    return before || after;
  }

  // Both engines agree on general categories. Scripts and binary properties depend on versions.
  void property() {
    constexpr std::string_view kCategories =
        " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C "
        "Cc Cf Co Cn ";
    const std::size_t close = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || close == pattern_.npos) refuse(3);
    std::string_view category = pattern_.substr(at_ + 3, close - at_ - 3);
    if (category.starts_with('^')) category.remove_prefix(1);
    if (category.empty() || category.size() > 2 ||
        kCategories.find(fmt::format(" {} ", category)) == std::string_view::npos)
      refuse(close + 1 - at_);
    copy(close + 1 - at_);
  }

  // Accepts \x{...}, a code point. Refuses \x with two digits, which is a byte in Oniguruma and a
  // code point in PCRE2.
  void hexadecimal() {
    const std::size_t close = pattern_.find('}', at_);
    if (!ahead("\\x{") || close == pattern_.npos) refuse(4);
    const std::string_view digits = pattern_.substr(at_ + 3, close - at_ - 3);
    if (digits.empty() || digits.size() > 6 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
      refuse(close + 1 - at_);
    copy(close + 1 - at_);
  }

  std::string_view pattern_, name_;
  std::string out_;
  std::size_t at_ = 0;
  std::size_t class_start_ = 0;  // first character of the open class, after its "["
  bool in_class_ = false;
};

}  // namespace

std::string pcre2_from_oniguruma(std::string_view pattern, std::string_view name) {
  return Translator(pattern, name).run();
}

}  // namespace bitaxon
