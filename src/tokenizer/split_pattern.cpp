#include "tokenizer/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <limits>

#include "bitaxon/error.h"
#include "platform/utf8.h"
#include "tokenizer/oniguruma.h"
#include "tokenizer/unicode_versions.h"

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
  bool names_characters;  // the pattern has characters beyond ASCII, not only classes
};

SplitPattern SplitPattern::literal(std::string_view text, std::string_view name) {
  std::string pattern;
  for (const char c : text) {
    const bool plain = (static_cast<unsigned char>(c) & 0x80) != 0 || c <= ' ' || c == 0x7F ||
                       (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!plain) pattern += '\\';
    pattern += c;
  }
  return {pattern, name};
}

SplitPattern::SplitPattern(std::string_view pattern, std::string_view name) : name_(name) {
  const std::string text = pcre2_from_oniguruma(pattern, name);
  const auto context = own(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  // In Oniguruma ^ and $ always match at the ends of lines. \C is forbidden, because it would split
  // characters.
  constexpr std::uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  int code = 0;
  std::size_t at = 0;
  Owned<pcre2_code> compiled(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                           kOptions, &code, &at, context.get()));
  if (!compiled)
    throw Error(ErrorKind::format,
                fmt::format("{}: pattern {}: {}", name, in_quotes(pattern), message_of(code)));
  // If there is no JIT, the interpreter gives the same result, but more slowly.
  pcre2_jit_compile(compiled.get(), PCRE2_JIT_COMPLETE);
  const bool names_characters =
      pattern.find("\\x{") != pattern.npos || std::ranges::any_of(pattern, [](char c) {
        return (static_cast<unsigned char>(c) & 0x80) != 0;
      });
  code_ = std::make_shared<const Code>(Code{std::move(compiled), names_characters});
}

// The search for all matches in one text.
class SplitPattern::Search {
 public:
  Search(const SplitPattern& pattern, std::string_view text)
      : pattern_(pattern),
        text_(text),
        match_(own(pcre2_match_data_create(1, nullptr))),
        context_(own(pcre2_match_context_create(nullptr))) {
    // A linear pattern needs a few steps per byte. The limit stops a pattern that backtracks
    // exponentially.
    const std::size_t steps = 1'000'000 + std::size_t{100} * text.size();
    constexpr std::uint32_t kHeapKiB = 1 << 20;
    pcre2_set_heap_limit(context_.get(), kHeapKiB);
    pcre2_set_match_limit(context_.get(), static_cast<std::uint32_t>(std::min<std::size_t>(
                                              steps, std::numeric_limits<std::uint32_t>::max())));
  }

  // Finds the next match. An empty match directly after another match is skipped, so that the
  // search ends.
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
    // The text is known to be UTF-8. Checking it again at every match would take quadratic time.
    int result = run(PCRE2_NO_UTF_CHECK);
    // The JIT's stack is small and fixed. The interpreter uses the heap instead.
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

// PCRE2 has the Unicode version of the system, so it sees stand-ins of the newest characters. A
// pattern that names characters must see them as they are.
void SplitPattern::for_each_part(std::string_view text,
                                 const std::function<void(TextPart)>& part) const {
  if (text.empty()) return;
  const std::string shown = code_->names_characters ? std::string() : with_stand_ins(text);
  Search search(*this, shown.empty() ? text : std::string_view(shown));
  std::size_t done = 0;
  for (Span span{}; search.next(span); done = span.end) {
    if (done < span.start) part({text.substr(done, span.start - done), false});
    part({text.substr(span.start, span.end - span.start), true});
  }
  if (done < text.size()) part({text.substr(done), false});
}

}  // namespace bitaxon
