#include "template/lexer.h"

#include <fmt/format.h>

#include <algorithm>

#include "template/literals.h"
#include "template/numbers.h"
#include "template/unicode.h"

namespace bitaxon::jinja {
namespace {

using TokenKind = Token::Kind;

constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                           "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                           ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

/// The template with all line ends as "\n", without one newline at its end.
std::string with_plain_newlines(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      result += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      result += source[i];
    }
  }
  if (result.ends_with('\n')) result.pop_back();
  return result;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(with_plain_newlines(source)), text_(source_) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) read_data();
    push(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  void push(TokenKind kind, std::string_view text, Value value = {}) {
    tokens_.push_back({kind, line_, std::string(text), std::move(value)});
  }

  /// Moves to `to` and counts the lines.
  void advance(std::size_t to) {
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         text_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at_ = to;
  }

  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  std::size_t skip_space(std::size_t at) const {
    while (at < text_.size()) {
      std::size_t next = at;
      if (!is_space(next_code_point(text_, next))) break;
      at = next;
    }
    return at;
  }

  /// Adds the text before a tag. `sign` is the character after the tag's beginning, '-' or '+'.
  void push_data(std::size_t begin, std::size_t end, char sign, bool is_block) {
    std::string_view data = text_.substr(begin, end - begin);
    if (sign == '-') {
      // Nothing but white space may remain of it, at the beginning too.
      const std::string_view kept = stripped(data);
      data =
          kept.empty()
              ? kept
              : data.substr(0, static_cast<std::size_t>(kept.data() + kept.size() - data.data()));
    } else if (sign != '+' && is_block) {
      const std::size_t newline = data.rfind('\n');
      const std::size_t line = newline == data.npos ? 0 : newline + 1;
      if ((line > 0 || at_line_start_) && stripped(data.substr(line)).empty())
        data = data.substr(0, line);
    }
    if (!data.empty()) push(TokenKind::data, data);
  }

  void note_line_start() { at_line_start_ = at_ > 0 && text_[at_ - 1] == '\n'; }

  /// Reads text up to the next tag, and the tag.
  void read_data() {
    const std::size_t begin = at_;
    std::size_t tag = begin;
    while (true) {
      tag = text_.find('{', tag);
      if (tag == text_.npos) {
        push(TokenKind::data, text_.substr(begin));
        advance(text_.size());
        return;
      }
      const char kind = tag + 1 < text_.size() ? text_[tag + 1] : '\0';
      if (kind == '{' || kind == '%' || kind == '#') break;
      ++tag;
    }
    std::size_t inside = tag + 2;
    const char kind = text_[tag + 1];
    char sign = inside < text_.size() ? text_[inside] : '\0';
    if (sign == '-' || sign == '+')
      ++inside;
    else
      sign = '\0';
    push_data(begin, tag, sign, kind != '{');
    advance(tag);
    if (kind == '%' && read_raw(inside)) return;
    advance(inside);
    if (kind == '#') return read_comment();
    push(kind == '{' ? TokenKind::variable_begin : TokenKind::block_begin, text_.substr(tag, 2));
    read_tag(kind == '{');
  }

  /// The end of a tag at `at`: behind the tag and the white space that it removes. npos if no tag
  /// ends there.
  std::size_t end_of_tag(std::size_t at, std::string_view mark, bool is_variable) const {
    const std::string_view rest = text_.substr(at);
    if (rest.starts_with('-') && rest.substr(1).starts_with(mark))
      return skip_space(at + 1 + mark.size());
    if (!is_variable && rest.starts_with('+') && rest.substr(1).starts_with(mark))
      return at + 1 + mark.size();
    if (!rest.starts_with(mark)) return text_.npos;
    const std::size_t end = at + mark.size();
    return !is_variable && end < text_.size() && text_[end] == '\n' ? end + 1 : end;
  }

  void read_comment() {
    for (std::size_t at = at_; at < text_.size(); ++at) {
      const std::size_t end = end_of_tag(at, "#}", false);
      if (end == text_.npos) continue;
      advance(end);
      note_line_start();
      return;
    }
    if (at_ < text_.size()) fail_at(line_, "Missing end of comment tag");
  }

  /// The place behind `word` with white space around it. npos if the word is not there.
  std::size_t behind_word(std::size_t at, std::string_view word) const {
    at = skip_space(at);
    if (!text_.substr(at).starts_with(word)) return text_.npos;
    return skip_space(at + word.size());
  }

  /// Reads {% raw %}...{% endraw %} if the tag whose inside begins at `inside` is raw.
  bool read_raw(std::size_t inside) {
    const std::size_t end = behind_word(inside, "raw");
    if (end == text_.npos) return false;
    std::size_t begin = text_.npos;
    if (text_.substr(end).starts_with("%}")) begin = end + 2;
    if (text_.substr(end).starts_with("-%}")) begin = skip_space(end + 3);
    if (begin == text_.npos) return false;
    advance(begin);
    note_line_start();
    for (std::size_t tag = text_.find("{%", begin); tag != text_.npos;
         tag = text_.find("{%", tag + 1)) {
      std::size_t name = tag + 2;
      char sign = name < text_.size() ? text_[name] : '\0';
      if (sign == '-' || sign == '+')
        ++name;
      else
        sign = '\0';
      const std::size_t after = behind_word(name, "endraw");
      const std::size_t stop = after == text_.npos ? after : end_of_tag(after, "%}", false);
      if (stop == text_.npos) continue;
      push_data(begin, tag, sign, true);
      advance(stop);
      note_line_start();
      return true;
    }
    if (at_ < text_.size()) fail_at(line_, "Missing end of raw directive");
    return true;
  }

  /// Reads the tokens of a tag and its end.
  void read_tag(bool is_variable) {
    std::string brackets;
    while (at_ < text_.size()) {
      if (brackets.empty()) {
        const std::size_t end = end_of_tag(at_, is_variable ? "}}" : "%}", is_variable);
        if (end != text_.npos) {
          push(is_variable ? TokenKind::variable_end : TokenKind::block_end,
               is_variable ? "}}" : "%}");
          advance(end);
          note_line_start();
          return;
        }
      }
      read_token(brackets);
    }
  }

  void read_token(std::string& brackets) {
    if (const std::size_t end = skip_space(at_); end != at_) return advance(end);
    if (read_number() || read_name() || read_string()) return;
    for (const std::string_view op : kOperators) {
      if (!text_.substr(at_).starts_with(op)) continue;
      balance(brackets, op);
      push(TokenKind::op, op);
      return advance(at_ + op.size());
    }
    std::size_t end = at_;
    next_code_point(text_, end);
    fail_at(line_, fmt::format("unexpected char '{}' at {}", text_.substr(at_, end - at_), at_));
  }

  void balance(std::string& brackets, std::string_view op) const {
    if (op == "(") brackets += ')';
    if (op == "[") brackets += ']';
    if (op == "{") brackets += '}';
    if (op != ")" && op != "]" && op != "}") return;
    if (brackets.empty()) fail_at(line_, fmt::format("unexpected '{}'", op));
    if (brackets.back() != op[0])
      fail_at(line_, fmt::format("unexpected '{}', expected '{}'", op, brackets.back()));
    brackets.pop_back();
  }

  bool read_number() {
    const bool after_point = at_ > 0 && text_[at_ - 1] == '.';
    const std::size_t float_end = after_point ? at_ : end_of_float(text_, at_);
    const std::size_t end = float_end != at_ ? float_end : end_of_integer(text_, at_);
    if (end == at_) return false;
    const std::string_view digits = text_.substr(at_, end - at_);
    if (float_end != at_) {
      push(TokenKind::number, digits, read_float(digits).value_or(0));
    } else {
      const std::optional<Integer> value = read_integer(digits, 0);
      if (!value) fail_at(line_, fmt::format("invalid number '{}'", digits));
      push(TokenKind::integer, digits, *value);
    }
    advance(end);
    return true;
  }

  bool read_name() {
    std::size_t end = at_;
    while (end < text_.size()) {
      std::size_t next = end;
      if (!is_word(next_code_point(text_, next))) break;
      end = next;
    }
    if (end == at_) return false;
    const std::string_view name = text_.substr(at_, end - at_);
    std::size_t first = 0;
    if (is_numeric(next_code_point(name, first))) fail_at(line_, "Invalid character in identifier");
    push(TokenKind::name, name);
    advance(end);
    return true;
  }

  bool read_string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return false;
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return false;
    push(TokenKind::text, unescaped(text_.substr(at_ + 1, end - at_ - 1), line_));
    advance(end + 1);
    return true;
  }

  std::string source_;
  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

void fail_at(int line, std::string_view message) {
  throw Fault(fmt::format("line {}: {}", line, message));
}

std::string described(const Token& token) {
  switch (token.kind) {
    case TokenKind::data:
      return "template data / text";
    case TokenKind::variable_end:
      return "end of print statement";
    case TokenKind::block_end:
      return "end of statement block";
    case TokenKind::variable_begin:
      return "begin of print statement";
    case TokenKind::block_begin:
      return "begin of statement block";
    case TokenKind::text:
      return "string";
    case TokenKind::integer:
      return "integer";
    case TokenKind::number:
      return "float";
    case TokenKind::end:
      return "end of template";
    default:
      return token.text;
  }
}

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace bitaxon::jinja
