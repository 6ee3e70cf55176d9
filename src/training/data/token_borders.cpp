#include "training/data/token_borders.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "bitaxon/error.h"

namespace bitaxon {

TokenBorders::TokenBorders(const Tokenizer& tokenizer, const ChatText& text,
                           std::span<const std::int32_t> ids)
    : tokenizer_(tokenizer), text_(text), ids_(ids) {
  StreamDecoder decoder(tokenizer);
  ends_.reserve(ids.size());
  for (const std::int32_t id : ids) {
    decoded_ += decoder.push(id);
    ends_.push_back(decoded_.size());
  }
  decoded_ += decoder.finish();
  if (!ends_.empty()) ends_.back() = decoded_.size();
}

std::size_t TokenBorders::token_at(std::size_t at) const {
  const auto first_end = [&](std::size_t byte) {
    return static_cast<std::size_t>(std::ranges::lower_bound(ends_, byte) - ends_.begin());
  };
  const auto behind = [&](std::size_t token) { return std::min(token + 1, ids_.size()); };
  if (at == 0) return 0;
  const bool is_same = decoded_ == text_.text;
  const std::size_t last = first_end(at);
  if (is_same && last < ends_.size() && ends_[last] == at) return behind(last);
  // Either a token lies across the border, or the decoder gives no text before a run of bytes ends,
  // or the tokenizer normalizes the text. The tokens of the text before the border tell more.
  const std::string_view before = std::string_view(text_.text).substr(0, at);
  std::vector<TextRange> input;
  for (const TextRange& range : text_.input)
    if (range.begin < at) input.push_back({range.begin, std::min(range.end, at)});
  const std::vector<std::int32_t> ids = tokenizer_.encode(before, {.plain = input});
  if (ids.size() <= ids_.size() && std::ranges::equal(ids, ids_.first(ids.size())))
    return ids.size();
  if (is_same) return behind(last);
  const std::string decoded = tokenizer_.decode(ids);
  if (!decoded_.starts_with(decoded))
    throw Error(ErrorKind::format,
                fmt::format("tokenizer: expected the tokens of a part of the text, got others at "
                            "byte {}",
                            at));
  return behind(first_end(decoded.size()));
}

bool TokenBorders::crosses(std::size_t at) const {
  const std::size_t token = token_at(at);
  return token > 0 && decoded_ == text_.text && ends_[token - 1] > at;
}

}  // namespace bitaxon
