#include "thoughts.h"

#include <algorithm>
#include <utility>

namespace bitaxon::tool {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>";
constexpr std::string_view kDim = "\x1b[2m", kPlain = "\x1b[0m";

/// The length of the longest end of `text` with which `tag` may begin.
std::size_t partial_tag(std::string_view text, std::string_view tag) {
  for (std::size_t size = std::min(text.size(), tag.size() - 1); size > 0; --size)
    if (tag.starts_with(text.substr(text.size() - size))) return size;
  return 0;
}

}  // namespace

bool opens_thought(const ChatText& prompt) {
  // Only what the template wrote counts: a user may write about the tags.
  std::string text = prompt.text;
  for (const TextRange& range : prompt.input)
    text.replace(range.begin, range.end - range.begin, range.end - range.begin, ' ');
  const std::size_t open = text.rfind(kOpen), close = text.rfind(kClose);
  return open != text.npos && (close == text.npos || close < open);
}

ThoughtDimmer::ThoughtDimmer(Output output, bool in_thought)
    : output_(std::move(output)), in_thought_(in_thought) {
  if (in_thought_) output_(kDim);
}

void ThoughtDimmer::push(std::string_view text) {
  held_ += text;
  while (true) {
    const std::string_view tag = in_thought_ ? kClose : kOpen;
    const std::size_t place = held_.find(tag);
    if (place == held_.npos) break;
    // The tags themselves are dimmed too.
    const std::size_t end = in_thought_ ? place + tag.size() : place;
    output_(std::string_view(held_).substr(0, end));
    output_(in_thought_ ? kPlain : kDim);
    if (!in_thought_) output_(tag);
    held_.erase(0, place + tag.size());
    in_thought_ = !in_thought_;
  }
  const std::size_t kept = partial_tag(held_, in_thought_ ? kClose : kOpen);
  if (held_.size() > kept) output_(std::string_view(held_).substr(0, held_.size() - kept));
  held_.erase(0, held_.size() - kept);
}

void ThoughtDimmer::finish() {
  if (!held_.empty()) output_(held_);
  held_.clear();
  if (in_thought_) output_(kPlain);
  in_thought_ = false;
}

}  // namespace bitaxon::tool
