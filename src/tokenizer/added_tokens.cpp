#include "tokenizer/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>

namespace bitaxon {

namespace {

utf8proc_int32_t first_character(std::string_view text, std::size_t& length) {
  utf8proc_int32_t c = -1;
  const utf8proc_ssize_t n =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &c);
  length = n > 0 ? static_cast<std::size_t>(n) : 1;
  return c;
}

utf8proc_int32_t last_character(std::string_view text, std::size_t& length) {
  std::size_t start = text.size() - 1;
  while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
  return first_character(text.substr(start), length);
}

// Whether a character has the Unicode property White_Space, so that \s matches it in Rust's regex.
bool is_space(utf8proc_int32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// Whether \w matches a character in Rust's regex. It matches Alphabetic characters, marks, decimal
// digits, connector punctuation and join controls (UTS #18, annex C). The ranges below are the
// Other_Alphabetic characters that are not marks.
bool is_word(utf8proc_int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
             (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
             (c >= 0x1F170 && c <= 0x1F189);
  }
}

bool ends_with_word(std::string_view text) {
  std::size_t length = 0;
  return !text.empty() && is_word(last_character(text, length));
}

bool starts_with_word(std::string_view text) {
  std::size_t length = 0;
  return !text.empty() && is_word(first_character(text, length));
}

// The position where the white space at the end of `text` begins, but at least `from`.
std::size_t trailing_space(std::string_view text, std::size_t from) {
  while (text.size() > from) {
    std::size_t length = 0;
    if (!is_space(last_character(text, length))) break;
    text.remove_suffix(length);
  }
  return std::max(text.size(), from);
}

std::size_t leading_space(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size()) {
    std::size_t length = 0;
    if (!is_space(first_character(text.substr(end), length))) break;
    end += length;
  }
  return end;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder() : token_at_{kNone} { root_edges_.fill(kNone); }

std::uint32_t AddedTokenFinder::child_of(std::uint32_t node, char byte) const {
  const auto label = static_cast<unsigned char>(byte);
  if (node == 0) return root_edges_[label];
  const auto edge = edges_.find((std::uint64_t{node} << 8) | label);
  return edge == edges_.end() ? kNone : edge->second;
}

void AddedTokenFinder::add(const AddedToken& token, std::string_view pattern) {
  if (pattern.empty()) return;
  std::uint32_t node = 0;
  for (const char byte : pattern) {
    std::uint32_t next = child_of(node, byte);
    if (next == kNone) {
      next = static_cast<std::uint32_t>(token_at_.size());
      token_at_.push_back(kNone);
      const auto label = static_cast<unsigned char>(byte);
      if (node == 0) {
        root_edges_[label] = next;
      } else {
        edges_.emplace((std::uint64_t{node} << 8) | label, next);
      }
    }
    node = next;
  }
  if (token_at_[node] != kNone) return;
  token_at_[node] = static_cast<std::uint32_t>(tokens_.size());
  tokens_.push_back(token);
}

bool AddedTokenFinder::longest_at(std::string_view text, std::size_t start, Match& match) const {
  std::uint32_t node = 0;
  bool found = false;
  for (std::size_t at = start; at < text.size(); ++at) {
    node = child_of(node, text[at]);
    if (node == kNone) break;
    if (token_at_[node] != kNone) {
      match = {start, at + 1, &tokens_[token_at_[node]]};
      found = true;
    }
  }
  return found;
}

std::vector<AddedTokenFinder::Segment> AddedTokenFinder::split(std::string_view text) const {
  std::vector<Segment> segments;
  std::size_t done = 0;  // end of the last segment
  Match match{};
  for (std::size_t at = 0; !tokens_.empty() && at < text.size();) {
    if (!longest_at(text, at, match)) {
      ++at;
      continue;
    }
    at = match.end;
    if (match.token->single_word &&
        (ends_with_word(text.substr(0, match.start)) || starts_with_word(text.substr(match.end))))
      continue;
    std::size_t start = match.start;
    std::size_t end = match.end;
    if (match.token->lstrip) start = trailing_space(text.substr(0, start), std::min(done, start));
    if (match.token->rstrip) end += leading_space(text.substr(end));
    if (done < start) segments.push_back({text.substr(done, start - done), -1});
    segments.push_back({text.substr(start, end - start), match.token->id});
    done = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done), -1});
  return segments;
}

}  // namespace bitaxon
