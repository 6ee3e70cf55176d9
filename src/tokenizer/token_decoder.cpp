#include "tokenizer/token_decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "platform/utf8.h"
#include "tokenizer/bpe_model.h"

namespace bitaxon {

namespace {

// The value of up to two digits, as Rust's u8::from_str_radix reads them: a plus sign may precede.
std::optional<unsigned char> byte_of_digits(std::string_view digits) {
  if (digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty()) return std::nullopt;
  unsigned value = 0;
  for (const char c : digits) {
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower >= '0' && lower <= '9') {
      value = value * 16 + static_cast<unsigned>(lower - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + static_cast<unsigned>(lower - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return static_cast<unsigned char>(value);
}

// The byte of a token such as <0x4A>.
std::optional<unsigned char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  return byte_of_digits(token.substr(3, 2));
}

std::string_view without_signs(std::string_view text, std::string_view sign, std::size_t start,
                               std::size_t stop) {
  for (; start > 0 && text.starts_with(sign); --start) text.remove_prefix(sign.size());
  for (; stop > 0 && text.ends_with(sign); --stop) text.remove_suffix(sign.size());
  return text;
}

}  // namespace

// One call of push() or finish(). A step takes its tokens in fragments: `ends` says that the token
// ends with this fragment.
class TokenDecoder::Run {
 public:
  Run(const std::vector<Step>& steps, State& state, std::string& out)
      : steps_(steps), state_(state), out_(out) {
    state_.resize(steps_.size());
  }

  void feed(std::size_t n, std::string_view fragment, bool ends) {
    if (n == steps_.size()) {
      out_ += fragment;
      return;
    }
    std::visit([&](const auto& step) { take(n, step, fragment, ends); }, steps_[n]);
  }

  void finish() {
    for (std::size_t n = 0; n < steps_.size(); ++n)
      std::visit([&](const auto& step) { end(n, step); }, steps_[n]);
    state_.clear();
  }

 private:
  // Collects the fragments of a token. Returns whether it is whole, in `token`.
  bool is_whole(std::size_t n, std::string_view fragment, bool ends, std::string& token) {
    std::string& held = state_[n].token;
    held += fragment;
    if (ends) token = std::exchange(held, {});
    return ends;
  }

  void take(std::size_t n, SpelledBytes, std::string_view fragment, bool ends) {
    std::string token;
    if (!is_whole(n, fragment, ends, token)) return;
    std::string& bytes = state_[n].bytes;
    bytes += bytes_of_spelling(token);
    if (const std::string text = take_complete(bytes); !text.empty()) feed(n + 1, text, false);
  }
  void end(std::size_t n, SpelledBytes) { feed(n + 1, to_valid_utf8(state_[n].bytes), true); }

  void take(std::size_t n, ByteTokens step, std::string_view fragment, bool ends) {
    std::string token;
    if (!is_whole(n, fragment, ends, token)) return;
    if (const auto byte = byte_of_token(token)) {
      state_[n].bytes += static_cast<char>(*byte);
      return;
    }
    end(n, step);
    feed(n + 1, token, true);
  }
  void end(std::size_t n, ByteTokens) {
    const std::string bytes = std::exchange(state_[n].bytes, {});
    if (bytes.empty()) return;
    if (valid_prefix(bytes) == bytes.size()) return feed(n + 1, bytes, true);
    for (std::size_t i = 0; i < bytes.size(); ++i) feed(n + 1, kReplacement, true);
  }

  void take(std::size_t n, Fuse, std::string_view fragment, bool) { feed(n + 1, fragment, false); }
  void end(std::size_t n, Fuse) { feed(n + 1, {}, true); }

  void take(std::size_t n, const Replace& replace, std::string_view fragment, bool ends) {
    std::string token;
    bool keeps_start = true;
    if (is_whole(n, fragment, ends, token)) feed(n + 1, replace.apply(token, keeps_start), true);
  }
  void end(std::size_t, const Replace&) {}

  void take(std::size_t n, const Strip& strip, std::string_view fragment, bool ends) {
    if (strip.stop > 0) {
      std::string token;
      if (is_whole(n, fragment, ends, token))
        feed(n + 1, without_signs(token, strip.sign, strip.start, strip.stop), true);
      return;
    }
    Memory& memory = state_[n];
    while (memory.at_start && memory.removed < strip.start && fragment.starts_with(strip.sign)) {
      fragment.remove_prefix(strip.sign.size());
      ++memory.removed;
    }
    if (!fragment.empty()) memory.at_start = false;
    if (ends) {
      memory.at_start = true;
      memory.removed = 0;
    }
    feed(n + 1, fragment, ends);
  }
  void end(std::size_t, const Strip&) {}

  void take(std::size_t n, const Signs& signs, std::string_view fragment, bool ends) {
    const bool drops = signs.drops_first && state_[n].at_first;
    std::string text;
    while (!fragment.empty()) {
      const std::size_t sign = std::min(fragment.find(signs.sign), fragment.size());
      text += fragment.substr(0, sign);
      fragment.remove_prefix(sign);
      if (fragment.empty()) break;
      if (!drops) text += ' ';
      fragment.remove_prefix(signs.sign.size());
    }
    if (ends) state_[n].at_first = false;
    feed(n + 1, text, ends);
  }
  void end(std::size_t, const Signs&) {}

  void take(std::size_t n, Spaces, std::string_view fragment, bool ends) {
    Memory& memory = state_[n];
    if (memory.at_start && !memory.at_first) feed(n + 1, " ", false);
    memory.at_start = ends;
    memory.at_first = false;
    feed(n + 1, fragment, ends);
  }
  void end(std::size_t, Spaces) {}

  const std::vector<Step>& steps_;
  State& state_;
  std::string& out_;
};

void TokenDecoder::push(State& state, std::string_view token, std::string& out) const {
  Run(steps, state, out).feed(0, token, true);
}

void TokenDecoder::finish(State& state, std::string& out) const { Run(steps, state, out).finish(); }

}  // namespace bitaxon
