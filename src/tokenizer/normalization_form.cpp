#include "tokenizer/normalization_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "platform/utf8.h"
#include "tokenizer/unicode_versions.h"

namespace bitaxon {

namespace {

using CodePoints = std::vector<utf8proc_int32_t>;

bool composes(NormalizationForm form) {
  return form == NormalizationForm::nfc || form == NormalizationForm::nfkc;
}

bool is_compatible(NormalizationForm form) {
  return form == NormalizationForm::nfkc || form == NormalizationForm::nfkd;
}

// Whether a text surely is in the form already. The characters below U+0300 are in form C and do
// not compose with each other. Characters from U+0300 on are recognized by their first byte, which
// is 0xCC or more. ASCII is in all forms.
bool is_plain(std::string_view text, NormalizationForm form) {
  const unsigned char least = form == NormalizationForm::nfc ? 0xCC : 0x80;
  return std::ranges::none_of(text, [&](char c) { return static_cast<unsigned char>(c) >= least; });
}

void decompose(char32_t c, NormalizationForm form, CodePoints& out) {
  constexpr utf8proc_ssize_t kLongest = 32;  // decompositions have at most 18 characters
  utf8proc_int32_t buffer[kLongest];
  const int options =
      UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (is_compatible(form) ? UTF8PROC_COMPAT : 0);
  const utf8proc_ssize_t n =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), buffer, kLongest,
                              static_cast<utf8proc_option_t>(options), nullptr);
  if (n < 0 || n > kLongest) throw std::logic_error("normalized: a decomposition is too long");
  out.insert(out.end(), buffer, buffer + n);
}

// The canonical ordering algorithm. utf8proc's own version is an insertion sort, whose time is
// quadratic in the length of a run of marks. An untrusted text could then take very long.
void order_marks(CodePoints& code_points) {
  const auto class_of = [](utf8proc_int32_t c) {
    return utf8proc_get_property(c)->combining_class;
  };
  auto at = code_points.begin();
  while (at != code_points.end()) {
    at = std::find_if(at, code_points.end(), [&](auto c) { return class_of(c) != 0; });
    const auto end = std::find_if(at, code_points.end(), [&](auto c) { return class_of(c) == 0; });
    std::stable_sort(at, end, [&](auto a, auto b) { return class_of(a) < class_of(b); });
    at = end;
  }
}

// Appends decomposed characters in the form, and empties the list.
void flush(CodePoints& decomposed, NormalizationForm form, std::string& out) {
  order_marks(decomposed);
  auto n = static_cast<utf8proc_ssize_t>(decomposed.size());
  if (composes(form))
    n = utf8proc_normalize_utf32(
        decomposed.data(), n, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  for (utf8proc_ssize_t i = 0; i < n; ++i)
    append_character(out, static_cast<char32_t>(decomposed[static_cast<std::size_t>(i)]));
  decomposed.clear();
}

}  // namespace

std::string normalized(std::string_view text, NormalizationForm form) {
  if (is_plain(text, form)) return std::string(text);
  CodePoints decomposed;
  decomposed.reserve(text.size());
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_character(text);
    if (is_unknown_to_normalization(c.code)) {
      flush(decomposed, form, out);
      append_character(out, c.code);
    } else {
      decompose(c.code, form, decomposed);
    }
    text.remove_prefix(c.length);
  }
  flush(decomposed, form, out);
  return out;
}

}  // namespace bitaxon
