#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "platform/utf8.h"
#include "tokenizer/unicode_classes.h"

namespace bitaxon {

namespace {

bool ends_with_word(std::string_view text) {
  return !text.empty() && is_word(last_character(text).code);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word(first_character(text).code);
}

// The position where the white space at the end of `text` begins, but at least `from`.
std::size_t trailing_space(std::string_view text, std::size_t from) {
  while (text.size() > from) {
    const Character last = last_character(text);
    if (!is_space(last.code)) break;
    text.remove_suffix(last.length);
  }
  return std::max(text.size(), from);
}

std::size_t leading_space(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size()) {
    const Character next = first_character(text.substr(end));
    if (!is_space(next.code)) break;
    end += next.length;
  }
  return end;
}

}  // namespace

bool PlainText::covers(std::size_t begin, std::size_t end) const {
  if (everywhere) return true;
  const auto after = std::ranges::upper_bound(ranges, begin, {}, &TextRange::begin);
  return after != ranges.begin() && end <= std::prev(after)->end;
}

bool PlainText::meets(std::size_t begin, std::size_t end) const {
  if (everywhere) return true;
  return std::ranges::any_of(
      ranges, [&](const TextRange& range) { return range.begin < end && begin < range.end; });
}

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

std::vector<AddedTokenFinder::Segment> AddedTokenFinder::split(std::string_view text,
                                                               const PlainText& plain) const {
  std::vector<Segment> segments;
  std::size_t done = 0;  // end of the last segment
  Match match{};
  for (std::size_t at = 0; !tokens_.empty() && at < text.size();) {
    if (!longest_at(text, at, match)) {
      ++at;
      continue;
    }
    at = match.end;
    if (match.token->special && plain.covers(match.start, match.end)) continue;
    if (match.token->single_word &&
        (ends_with_word(text.substr(0, match.start)) || starts_with_word(text.substr(match.end))))
      continue;
    std::size_t start = match.start;
    std::size_t end = match.end;
    if (match.token->lstrip) start = std::max(trailing_space(text.substr(0, start), 0), done);
    if (match.token->rstrip) end += leading_space(text.substr(end));
    if (done < start) segments.push_back({text.substr(done, start - done), -1});
    // The token before may have taken the white space that this token consists of.
    if (start < end) segments.push_back({text.substr(start, end - start), match.token->id});
    done = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done), -1});
  return segments;
}

}  // namespace bitaxon
