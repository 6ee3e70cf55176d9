#include "tokenizer/vocab_mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "bitaxon/error.h"
#include "platform/utf8.h"

namespace bitaxon {

namespace {

// Parses map = "{" [ pair { "," pair } [ "," ] ] "}". A comma after the last pair is allowed only
// if keys have no quotes. If the first key has quotes, all keys must have quotes.
class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  template <class Add>
  void run(Add&& add) {
    expect('{');
    skip_space();
    quotes_ = peek() == '"';
    while (peek() != '}') {
      const std::size_t at = at_;
      const std::int32_t from = key();
      expect(':');
      skip_space();
      const std::int32_t to = number();
      if (!add(from, to)) fail(at, fmt::format("the tokenizer id {} appears twice", from));
      skip_space();
      if (peek() == '}') break;
      expect(',');
      skip_space();
      if (quotes_ && peek() == '}') fail(at_, "expected another pair");
    }
    expect('}');
    skip_space();
    if (at_ != text_.size()) fail(at_, "expected nothing after the map");
  }

 private:
  [[noreturn]] void fail(std::size_t at, std::string_view what) const {
    throw Error(ErrorKind::format, fmt::format("{}: at byte {}: {}", name_, at, what));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }

  void expect(char c) {
    skip_space();
    if (at_ == text_.size()) fail(at_, fmt::format("expected '{}', got the end", c));
    if (text_[at_] != c)
      fail(at_, fmt::format("expected '{}', got {}", c, in_quotes(text_.substr(at_, 1))));
    ++at_;
  }

  // Reads a key. Between quotes, only the number is allowed, without white space.
  std::int32_t key() {
    if (!quotes_) return number();
    expect('"');
    const std::int32_t id = number();
    if (peek() != '"') fail(at_, "expected '\"' after the number");
    ++at_;
    return id;
  }

  std::int32_t number() {
    const std::size_t start = at_;
    std::int64_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + (text_[at_++] - '0');
      if (value > std::numeric_limits<std::int32_t>::max()) fail(start, "an id of 2^31 or more");
    }
    if (at_ == start) fail(at_, "expected a number of digits only");
    if (text_[start] == '0' && at_ - start > 1) fail(start, "a number with a leading zero");
    return static_cast<std::int32_t>(value);
  }

  std::string_view text_, name_;
  std::size_t at_ = 0;
  bool quotes_ = false;
};

}  // namespace

VocabMapping VocabMapping::parse(std::string_view text, std::string_view name) {
  VocabMapping mapping;
  Parser(text, name).run([&](std::int32_t from, std::int32_t to) {
    mapping.max_model_id_ = std::max(mapping.max_model_id_, to);
    const auto [back, fresh] = mapping.to_tokenizer_.emplace(to, from);
    if (!fresh) back->second = std::min(back->second, from);
    return mapping.to_model_.emplace(from, to).second;
  });
  return mapping;
}

std::optional<std::int32_t> VocabMapping::to_model(std::int32_t tokenizer_id) const {
  const auto found = to_model_.find(tokenizer_id);
  return found == to_model_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::int32_t> VocabMapping::to_tokenizer(std::int32_t model_id) const {
  const auto found = to_tokenizer_.find(model_id);
  return found == to_tokenizer_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace bitaxon
