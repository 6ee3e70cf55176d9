#include "tokenizer/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace bitaxon {

namespace {

constexpr auto kOptions =
    static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_DECOMPOSE);

// Whether a text has only characters below U+0300. Such a text is in form C, because these
// characters are in form C and do not compose with each other. Characters from U+0300 on are
// recognized by their first byte, which is 0xCC or more.
bool is_plainly_nfc(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) >= 0xCC; });
}

std::vector<utf8proc_int32_t> decompose(std::string_view text) {
  constexpr utf8proc_ssize_t kLongest = 32;  // canonical decompositions have at most 4 characters
  utf8proc_int32_t buffer[kLongest];
  std::vector<utf8proc_int32_t> code_points;
  code_points.reserve(text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t c = 0;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes, left, &c);
    if (length <= 0) throw std::logic_error("to_nfc: the text is not UTF-8");
    const auto option = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
    const utf8proc_ssize_t n = utf8proc_decompose_char(c, buffer, kLongest, option, nullptr);
    if (n < 0 || n > kLongest) throw std::logic_error("to_nfc: a decomposition is too long");
    code_points.insert(code_points.end(), buffer, buffer + n);
    bytes += length;
    left -= length;
  }
  return code_points;
}

// The canonical ordering algorithm. utf8proc's own version is an insertion sort, whose time is
// quadratic in the length of a run of marks. An untrusted text could then take very long.
void order_marks(std::vector<utf8proc_int32_t>& code_points) {
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

}  // namespace

std::string to_nfc(std::string_view text) {
  if (is_plainly_nfc(text)) return std::string(text);
  std::vector<utf8proc_int32_t> code_points = decompose(text);
  order_marks(code_points);
  const utf8proc_ssize_t n = utf8proc_normalize_utf32(
      code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()), kOptions);
  std::string out;
  out.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < n; ++i) {
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t length =
        utf8proc_encode_char(code_points[static_cast<std::size_t>(i)], bytes);
    out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
  }
  return out;
}

}  // namespace bitaxon
