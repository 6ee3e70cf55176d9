// Cuts a template into tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "template/value.h"

namespace bitaxon::jinja {

struct Token {
  enum class Kind {
    data,            ///< text outside of tags
    variable_begin,  ///< {{
    variable_end,
    block_begin,  ///< {%
    block_end,
    name,
    text,     ///< a string literal; `text` is its contents
    integer,  ///< value
    number,   ///< value
    op,       ///< an operator or a bracket
    end,
  };
  Kind kind = Kind::end;
  int line = 1;
  std::string text;
  Value value;

  bool is(Kind wanted, std::string_view wanted_text) const {
    return kind == wanted && text == wanted_text;
  }
  bool is_name(std::string_view wanted) const { return is(Kind::name, wanted); }
  bool is_op(std::string_view wanted) const { return is(Kind::op, wanted); }
};

/// The tokens of a template, with a token `end` behind them. White space is removed as with
/// trim_blocks and lstrip_blocks, and one newline at the end of the template goes. Throws Fault.
std::vector<Token> tokenize(std::string_view source);

/// A Fault that begins with the line.
[[noreturn]] void fail_at(int line, std::string_view message);
/// The token in a message.
std::string described(const Token& token);

}  // namespace bitaxon::jinja
