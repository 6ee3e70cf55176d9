#include "template/text.h"

#include <string.h>

#include <algorithm>

namespace bitaxon::jinja {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::int64_t count_code_points(std::string_view text) {
  std::int64_t count = 0;
  for (const char c : text) count += is_continuation(c) ? 0 : 1;
  return count;
}

}  // namespace

Text::Text(std::string bytes, std::vector<TextRange> input, bool markup)
    : bytes_(std::move(bytes)),
      input_(std::move(input)),
      length_(count_code_points(bytes_)),
      markup_(markup),
      charge_(sizeof(Text) + bytes_.size() + input_.size() * sizeof(TextRange)) {
  count_steps(bytes_.size() / 64);
}

bool Text::is_input(std::size_t begin, std::size_t end) const {
  if (begin == end) {
    begin -= begin > 0 ? 1 : 0;
    end = std::min(end + 1, bytes_.size());
  }
  const auto range = std::partition_point(input_.begin(), input_.end(),
                                          [&](const TextRange& r) { return r.end <= begin; });
  return range != input_.end() && range->begin < end;
}

std::size_t Text::byte_of(std::int64_t index) const {
  if (is_ascii()) return static_cast<std::size_t>(index);
  std::size_t byte = 0;
  for (std::int64_t seen = 0; byte < bytes_.size(); ++byte)
    if (!is_continuation(bytes_[byte]) && seen++ == index) break;
  count_steps(byte / 64);
  return byte;
}

std::int64_t Text::index_of(std::size_t byte) const {
  if (is_ascii()) return static_cast<std::int64_t>(byte);
  count_steps(byte / 64);
  return count_code_points(std::string_view(bytes_).substr(0, byte));
}

void TextBuilder::grow(std::size_t bytes) {
  count_steps(bytes / 64);
  Meter* meter = Meter::current();
  const std::size_t size = bytes_.size() + bytes + input_.size() * sizeof(TextRange);
  if (!meter || size <= charged_) return;
  // Doubling keeps the number of changes small. Small texts are not worth one.
  const std::size_t more = std::max<std::size_t>(size, 4096);
  meter->allocate(more);
  charged_ += more;
}

void TextBuilder::release() {
  if (Meter* meter = Meter::current()) meter->release(charged_);
  charged_ = 0;
}

TextBuilder& TextBuilder::add(std::string_view text) {
  grow(text.size());
  bytes_ += text;
  return *this;
}

TextBuilder& TextBuilder::add_input(std::string_view text) {
  if (text.empty()) return *this;
  grow(text.size());
  if (!input_.empty() && input_.back().end == bytes_.size())
    input_.back().end += text.size();
  else
    input_.push_back({bytes_.size(), bytes_.size() + text.size()});
  bytes_ += text;
  return *this;
}

TextBuilder& TextBuilder::add(const Text& text, std::size_t begin, std::size_t end) {
  const std::vector<TextRange>& ranges = text.input();
  auto range = std::partition_point(ranges.begin(), ranges.end(),
                                    [&](const TextRange& r) { return r.end <= begin; });
  const std::string_view bytes = text.view();
  for (std::size_t at = begin; at < end;) {
    if (range == ranges.end() || range->begin >= end) {
      add(bytes.substr(at, end - at));
      break;
    }
    if (range->begin > at) add(bytes.substr(at, range->begin - at));
    at = std::max(at, range->begin);
    const std::size_t stop = std::min(end, range->end);
    add_input(bytes.substr(at, stop - at));
    at = stop;
    ++range;
  }
  return *this;
}

TextRef TextBuilder::finish(bool markup) {
  release();
  return std::make_shared<const Text>(std::move(bytes_), std::move(input_), markup);
}

TextRef make_text(std::string bytes, bool input) {
  std::vector<TextRange> ranges;
  if (input && !bytes.empty()) ranges.push_back({0, bytes.size()});
  return std::make_shared<const Text>(std::move(bytes), std::move(ranges), false);
}

TextRef part_of(const Text& text, std::size_t begin, std::size_t end) {
  TextBuilder part;
  if (begin < end) part.add(text, begin, end);
  return part.finish(text.is_markup());
}

TextRef derived(const Text& text, std::string bytes) {
  std::vector<TextRange> ranges;
  if (!text.input().empty() && !bytes.empty()) ranges.push_back({0, bytes.size()});
  return std::make_shared<const Text>(std::move(bytes), std::move(ranges), text.is_markup());
}

char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = static_cast<unsigned char>(text[at++]);
  if (byte < 0x80) return byte;
  const int more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
  auto c = static_cast<char32_t>(byte & (0x3f >> more));
  for (int i = 0; i < more && at < text.size(); ++i)
    c = c << 6 | (static_cast<unsigned char>(text[at++]) & 0x3f);
  return c;
}

std::u32string code_points(std::string_view text) {
  expect_room(text.size() * sizeof(char32_t));
  count_steps(text.size() / 16);
  std::u32string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) result += next_code_point(text, at);
  return result;
}

// std::string_view::find takes quadratic time in the worst case, memmem takes linear time.
std::size_t find_bytes(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  const std::size_t place =
      found ? static_cast<std::size_t>(static_cast<const char*>(found) - text.data())
            : std::string_view::npos;
  count_steps(((found ? place : text.size()) - from) / 64);
  return place;
}

std::size_t rfind_bytes(std::string_view text, std::string_view needle) {
  if (needle.empty()) return text.size();
  // The last place is the first place in both texts read backwards.
  std::string back(text.rbegin(), text.rend()), back_needle(needle.rbegin(), needle.rend());
  const std::size_t place = find_bytes(back, back_needle);
  return place == std::string::npos ? place : text.size() - place - needle.size();
}

}  // namespace bitaxon::jinja
