#include "tokenizer/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <limits>

#include "bitaxon/error.h"
#include "tokenizer/utf8.h"

namespace bitaxon {

namespace {

struct Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
};

template <class T>
using Owned = std::unique_ptr<T, Free>;

template <class T>
Owned<T> own(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return Owned<T>(pointer);
}

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct SplitPattern::Code {
  Owned<pcre2_code> compiled;
};

SplitPattern::SplitPattern(std::string_view pattern, std::string_view name) : name_(name) {
  const std::string text = pcre2_from_oniguruma(pattern, name);
  const auto context = own(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  // Oniguruma's ^ and $ always stand at line ends. No bare \C: it would break characters apart.
  constexpr std::uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  int code = 0;
  std::size_t at = 0;
  Owned<pcre2_code> compiled(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                           kOptions, &code, &at, context.get()));
  if (!compiled)
    throw Error(ErrorKind::format,
                fmt::format("{}: pattern {}: {}", name, in_quotes(pattern), message_of(code)));
  // Where there is no JIT the interpreter does the same, slower.
  pcre2_jit_compile(compiled.get(), PCRE2_JIT_COMPLETE);
  code_ = std::make_shared<const Code>(Code{std::move(compiled)});
}

// One walk over one text.
class SplitPattern::Search {
 public:
  Search(const SplitPattern& pattern, std::string_view text)
      : pattern_(pattern),
        text_(text),
        match_(own(pcre2_match_data_create(1, nullptr))),
        context_(own(pcre2_match_context_create(nullptr))) {
    // A pattern that is linear in the text spends a few steps a byte; one that backtracks
    // exponentially has to stop somewhere.
    const std::size_t steps = 1'000'000 + std::size_t{100} * text.size();
    pcre2_set_match_limit(context_.get(), static_cast<std::uint32_t>(std::min<std::size_t>(
                                              steps, std::numeric_limits<std::uint32_t>::max())));
  }

  // The next match. An empty one right after another match does not count, so that the walk ends.
  bool next(Span& span) {
    while (from_ <= text_.size() && find(span)) {
      const bool follows = has_last_ && span.start == span.end && span.end == last_end_;
      if (!follows) {
        from_ = last_end_ = span.end;
        has_last_ = true;
        return true;
      }
      from_ += from_ < text_.size() ? first_unit(text_.substr(from_)).length : 1;
    }
    return false;
  }

 private:
  bool find(Span& span) {
    // The text is known to be UTF-8: checking it again at every match would be quadratic.
    int result = run(PCRE2_NO_UTF_CHECK);
    // The JIT's stack is small and fixed; the interpreter takes what it needs from the heap.
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result < 0)
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: the pattern fails on this text at byte {}: {}", pattern_.name_,
                              from_, message_of(result)));
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match_.get());
    span = {bounds[0], bounds[1]};
    return true;
  }

  int run(std::uint32_t options) {
    return pcre2_match(pattern_.code_->compiled.get(), reinterpret_cast<PCRE2_SPTR>(text_.data()),
                       text_.size(), from_, options, match_.get(), context_.get());
  }

  const SplitPattern& pattern_;
  std::string_view text_;
  Owned<pcre2_match_data> match_;
  Owned<pcre2_match_context> context_;
  std::size_t from_ = 0;
  std::size_t last_end_ = 0;
  bool has_last_ = false;
};

void SplitPattern::split(std::string_view text,
                         const std::function<void(std::string_view)>& piece) const {
  Search search(*this, text);
  std::size_t done = 0;
  for (Span span{}; search.next(span); done = span.end) {
    if (done < span.start) piece(text.substr(done, span.start - done));
    if (span.start < span.end) piece(text.substr(span.start, span.end - span.start));
  }
  if (done < text.size()) piece(text.substr(done));
}

namespace {

// Rewrites a pattern from left to right, refusing what the two engines read differently.
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

  // Ruby nests and intersects classes; PCRE2 takes both as characters, and knows [:alpha:].
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
      // "[]" is an empty class to one and a class with a bracket in it to the other.
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
    // (?m) is "dot matches all" in Ruby, and the other letters differ as well: only i is let by.
    for (const std::string_view known :
         {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)", "(?-i:", "(?-i)"})
      if (ahead(known)) return copy(known.size());
    refuse(4);
  }

  // {n}, {n,} and {n,m}. Ruby reads {,m} too, and {n,m}+ not as possessive.
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
      refuse(2);  // \w, \b, \h, \R, \X and others, each different in some characters
    }
  }

  static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  }

  // \s is Unicode White_Space to Oniguruma. PCRE2 with UCP adds U+180E, in \s as well as taken
  // from \S; it has a White_Space property too, but only since 10.40.
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

  // General categories mean the same to both; scripts and binary properties depend on versions.
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

  // \x{...}, a code point. Two digits are a byte to Oniguruma and a code point to PCRE2.
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
