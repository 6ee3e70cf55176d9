#include "template/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "platform/utf8.h"
#include "template/special_casing.h"
#include "template/text.h"

namespace bitaxon::jinja {
namespace {

using Ranges = std::pair<char32_t, char32_t>;

/// Digits that are no decimals: superscripts, circled numbers and the like.
constexpr Ranges kOtherDigits[] = {
    {0xb2, 0xb3},       {0xb9, 0xb9},       {0x1369, 0x1371},   {0x19da, 0x19da},
    {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
    {0x2474, 0x247c},   {0x2488, 0x2490},   {0x24ea, 0x24ea},   {0x24f5, 0x24fd},
    {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},   {0x278a, 0x2792},
    {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a}};
/// Other_Lowercase and Other_Uppercase of Unicode.
constexpr Ranges kOtherLower[] = {
    {0xaa, 0xaa},     {0xba, 0xba},     {0x2b0, 0x2b8},   {0x2c0, 0x2c1},   {0x2e0, 0x2e4},
    {0x345, 0x345},   {0x37a, 0x37a},   {0x1d2c, 0x1d6a}, {0x1d78, 0x1d78}, {0x1d9b, 0x1dbf},
    {0x2071, 0x2071}, {0x207f, 0x207f}, {0x2090, 0x209c}, {0x2170, 0x217f}, {0x24d0, 0x24e9},
    {0x2c7c, 0x2c7d}, {0xa69c, 0xa69d}, {0xa770, 0xa770}, {0xa7f8, 0xa7f9}, {0xab5c, 0xab5f}};
constexpr Ranges kOtherUpper[] = {
    {0x2160, 0x216f}, {0x24b6, 0x24cf}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};

template <std::size_t N>
bool is_in(const Ranges (&ranges)[N], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](const Ranges& range) { return c >= range.first && c <= range.second; });
}

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

const SpecialCasing* special(char32_t c) {
  const auto* found = std::lower_bound(
      std::begin(kSpecialCasings), std::end(kSpecialCasings), c,
      [](const SpecialCasing& casing, char32_t wanted) { return casing.code_point < wanted; });
  return found != std::end(kSpecialCasings) && found->code_point == c ? found : nullptr;
}

void append_all(std::string& text, std::u32string_view code_points) {
  for (const char32_t c : code_points) append_character(text, c);
}

void append_upper(std::string& text, char32_t c) {
  if (const SpecialCasing* casing = special(c)) return append_all(text, casing->upper);
  append_character(text, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

void append_title(std::string& text, char32_t c) {
  if (const SpecialCasing* casing = special(c)) return append_all(text, casing->title);
  append_character(text, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
}

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

/// Characters that casing ignores: marks, modifiers and a few punctuation characters.
bool is_case_ignorable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      break;
  }
  for (const char32_t ignored :
       {U'\'', U'.', U':', U'\xb7', U'\x2018', U'\x2019', U'\x2024', U'\x2027', U'\xfe13',
        U'\xfe52', U'\xfe55', U'\xff07', U'\xff0e', U'\xff1a'})
    if (c == ignored) return true;
  return false;
}

/// Whether the capital sigma at `at` ends a word.
bool is_final_sigma(const std::u32string& text, std::size_t at) {
  std::size_t before = at;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  std::size_t after = at + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

void append_lower(std::string& text, const std::u32string& all, std::size_t at) {
  const char32_t c = all[at];
  if (c == 0x3a3) return append_character(text, is_final_sigma(all, at) ? 0x3c2 : 0x3c3);
  if (c == 0x130) return append_all(text, U"i\x307");
  append_character(text, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

}  // namespace

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

bool is_alphabetic(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }
bool is_digit(char32_t c) { return is_decimal(c) || is_in(kOtherDigits, c); }

bool is_numeric(char32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO;
}

bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU || is_in(kOtherUpper, c); }
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL || is_in(kOtherLower, c); }
bool is_title(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  const utf8proc_category_t kind = category(c);
  return kind != UTF8PROC_CATEGORY_CN && kind < UTF8PROC_CATEGORY_ZS;
}

std::string upper(std::string_view text) {
  std::string result;
  for (const char32_t c : code_points(text)) append_upper(result, c);
  return result;
}

std::string lower(std::string_view text) {
  std::string result;
  const std::u32string all = code_points(text);
  for (std::size_t at = 0; at < all.size(); ++at) append_lower(result, all, at);
  return result;
}

std::string capitalized(std::string_view text) {
  std::string result;
  const std::u32string all = code_points(text);
  for (std::size_t at = 0; at < all.size(); ++at)
    at == 0 ? append_title(result, all[at]) : append_lower(result, all, at);
  return result;
}

std::string titled(std::string_view text) {
  std::string result;
  const std::u32string all = code_points(text);
  bool in_word = false;
  for (std::size_t at = 0; at < all.size(); ++at) {
    in_word ? append_lower(result, all, at) : append_title(result, all[at]);
    in_word = is_cased(all[at]);
  }
  return result;
}

std::string case_swapped(std::string_view text) {
  std::string result;
  const std::u32string all = code_points(text);
  for (std::size_t at = 0; at < all.size(); ++at) {
    if (is_upper(all[at]))
      append_lower(result, all, at);
    else if (is_lower(all[at]))
      append_upper(result, all[at]);
    else
      append_character(result, all[at]);
  }
  return result;
}

std::string case_folded(std::string_view text) {
  std::string result;
  for (const char32_t c : code_points(text)) {
    utf8proc_int32_t folded[8];
    int boundary = 0;
    const utf8proc_ssize_t count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), folded,
                                                           8, UTF8PROC_CASEFOLD, &boundary);
    for (utf8proc_ssize_t i = 0; i < count && i < 8; ++i)
      append_character(result, static_cast<char32_t>(folded[i]));
  }
  return result;
}

}  // namespace bitaxon::jinja
