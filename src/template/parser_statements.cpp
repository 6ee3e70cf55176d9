#include <fmt/format.h>

#include <algorithm>

#include "template/parser.h"

namespace bitaxon::jinja {

using TokenKind = Token::Kind;

const Token& Parser::take() {
  const Token& token = current();
  if (token.kind != TokenKind::end) ++at_;
  return token;
}

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  take();
  return true;
}

bool Parser::skip_op(std::string_view op) {
  if (!current().is_op(op)) return false;
  take();
  return true;
}

void Parser::expect(Token::Kind kind, std::string_view what) {
  if (current().kind == TokenKind::end)
    fail(fmt::format("unexpected end of template, expected '{}'", what));
  if (current().kind != kind)
    fail(fmt::format("expected token '{}', got '{}'", what, described(current())));
  take();
}

void Parser::expect_op(std::string_view op) {
  if (!current().is_op(op)) {
    if (current().kind == TokenKind::end)
      fail(fmt::format("unexpected end of template, expected '{}'", op));
    fail(fmt::format("expected token '{}', got '{}'", op, described(current())));
  }
  take();
}

std::string Parser::expect_name() {
  std::string name = current().text;
  expect(TokenKind::name, "name");
  return name;
}

void Parser::expect_keyword(std::string_view name) {
  if (!current().is_name(name))
    fail(fmt::format("expected token '{}', got '{}'", name, described(current())));
  take();
}

Program Parser::run() {
  Program program;
  for (const Token& token : tokens_)
    if (token.kind == TokenKind::name) program.names.insert(token.text);
  program.body = parse_block({});
  return program;
}

Statement& Parser::add(Block& block, Statement::Kind kind, int line) {
  block.push_back(std::make_unique<Statement>());
  block.back()->kind = kind;
  block.back()->line = line;
  return *block.back();
}

/// Parses statements up to a tag that begins with one of `ends`, whose name is then the current
/// token. Without `ends`, up to the end of the template.
Block Parser::parse_block(Names ends) {
  Block block;
  while (current().kind != TokenKind::end) {
    const int line = current().line;
    if (current().kind == TokenKind::data) {
      add(block, Statement::Kind::text, line).text = Value::text(take().text);
    } else if (current().kind == TokenKind::variable_begin) {
      take();
      add(block, Statement::Kind::print, line)
          .expressions.push_back(parse_tuple(false, true, false));
      expect(TokenKind::variable_end, "end of print statement");
    } else {
      expect(TokenKind::block_begin, "begin of statement block");
      if (current().kind == TokenKind::name &&
          std::ranges::find(ends, current().text) != ends.end())
        return block;
      parse_statement(block);
      expect(TokenKind::block_end, "end of statement block");
    }
  }
  if (ends.size() > 0)
    fail(fmt::format("unexpected end of template, expected the tag '{}'",
                     fmt::join(ends, "' or '")));
  return block;
}

/// Parses the end of a tag and the statements behind it. The tag that ends them is the current
/// token afterwards; `skip_end` skips its name.
Block Parser::parse_body(Names ends, bool skip_end) {
  skip_op(":");
  expect(TokenKind::block_end, "end of statement block");
  Block block = parse_block(ends);
  if (skip_end) take();
  return block;
}

void Parser::parse_statement(Block& block) {
  using Parse = void (Parser::*)(Block&);
  static const std::vector<std::pair<std::string_view, Parse>> kStatements = {
      {"for", &Parser::parse_for},
      {"if", &Parser::parse_if},
      {"set", &Parser::parse_set},
      {"macro", &Parser::parse_macro},
      {"call", &Parser::parse_call_block},
      {"generation", &Parser::parse_generation},
      {"filter", &Parser::parse_filter_block},
      {"with", &Parser::parse_with},
      {"block", &Parser::parse_named_block},
      {"autoescape", &Parser::parse_autoescape},
      {"include", &Parser::parse_include},
      {"print", &Parser::parse_print},
  };
  const Level level(*this);
  const int line = current().line;
  const std::string name = current().text;
  if (current().kind != TokenKind::name) fail("tag name expected");
  if (name == "break" || name == "continue") {
    take();
    if (loops_ == 0) fail_at(line, fmt::format("'{}' outside of a loop", name));
    add(block, name == "break" ? Statement::Kind::break_loop : Statement::Kind::continue_loop,
        line);
    return;
  }
  if (name == "import" || name == "from" || name == "extends")
    fail(fmt::format("the tag '{}' is not supported: a chat template is one file", name));
  for (const auto& [tag, parse] : kStatements)
    if (tag == name) {
      take();
      return (this->*parse)(block);
    }
  fail(fmt::format("Encountered unknown tag '{}'.", name));
}

void Parser::parse_for(Block& block) {
  Statement& loop = add(block, Statement::Kind::loop, current().line);
  stop_word_ = "in";
  loop.target = parse_target(true, false);
  stop_word_ = "recursive";
  expect_keyword("in");
  loop.expressions.push_back(parse_tuple(false, false, false));
  stop_word_ = {};
  if (skip_name("if")) loop.loop_test = parse_expression();
  loop.is_recursive = skip_name("recursive");
  ++loops_;
  loop.body = parse_body({"endfor", "else"}, false);
  --loops_;
  if (take().text == "else") loop.otherwise = parse_body({"endfor"}, true);
}

void Parser::parse_if(Block& block) {
  Statement& choice = add(block, Statement::Kind::if_else, current().line);
  while (true) {
    choice.branches.emplace_back();
    choice.branches.back().test = parse_tuple(false, false, false);
    choice.branches.back().body = parse_body({"elif", "else", "endif"}, false);
    const std::string end = take().text;
    if (end == "else") choice.otherwise = parse_body({"endif"}, true);
    if (end != "elif") return;
  }
}

void Parser::parse_set(Block& block) {
  Statement& set = add(block, Statement::Kind::set, current().line);
  set.target = parse_target(true, true);
  if (skip_op("=")) {
    set.expressions.push_back(parse_tuple(false, true, false));
    return;
  }
  set.kind = Statement::Kind::set_block;
  while (current().is_op("|")) set.filter = parse_filter(std::move(set.filter));
  set.body = parse_body({"endset"}, true);
}

void Parser::parse_signature(MacroBody& macro) {
  expect_op("(");
  while (!current().is_op(")")) {
    if (!macro.parameters.empty()) expect_op(",");
    Parameter parameter;
    const int line = current().line;
    parameter.name = expect_name();
    if (std::ranges::any_of(macro.parameters,
                            [&](const Parameter& other) { return other.name == parameter.name; }))
      fail_at(line, fmt::format("duplicate argument '{}'", parameter.name));
    if (skip_op("="))
      parameter.fallback = parse_expression();
    else if (!macro.parameters.empty() && macro.parameters.back().fallback)
      fail("non-default argument follows default argument");
    macro.parameters.push_back(std::move(parameter));
  }
  expect_op(")");
}

void Parser::parse_macro(Block& block) {
  Statement& statement = add(block, Statement::Kind::macro, current().line);
  statement.macro = std::make_unique<MacroBody>();
  statement.macro->name = expect_name();
  parse_signature(*statement.macro);
  const int loops = std::exchange(loops_, 0);
  statement.macro->body = parse_body({"endmacro"}, true);
  loops_ = loops;
}

void Parser::parse_call_block(Block& block) {
  Statement& statement = add(block, Statement::Kind::call, current().line);
  statement.macro = std::make_unique<MacroBody>();
  if (current().is_op("(")) parse_signature(*statement.macro);
  statement.expressions.push_back(parse_expression());
  if (statement.expressions[0]->kind != Expression::Kind::call) fail("expected call");
  const int loops = std::exchange(loops_, 0);
  statement.macro->body = parse_body({"endcall"}, true);
  loops_ = loops;
}

void Parser::parse_generation(Block& block) {
  Statement& statement = add(block, Statement::Kind::generation, current().line);
  const int loops = std::exchange(loops_, 0);
  statement.body = parse_body({"endgeneration"}, true);
  loops_ = loops;
}

void Parser::parse_filter_block(Block& block) {
  Statement& statement = add(block, Statement::Kind::filter, current().line);
  statement.filter = parse_filter(nullptr);
  while (current().is_op("|")) statement.filter = parse_filter(std::move(statement.filter));
  statement.body = parse_body({"endfilter"}, true);
}

void Parser::parse_with(Block& block) {
  Statement& statement = add(block, Statement::Kind::with, current().line);
  while (current().kind != TokenKind::block_end && !current().is_op(":")) {
    if (!statement.targets.empty()) expect_op(",");
    statement.targets.push_back(parse_target(true, false));
    expect_op("=");
    statement.expressions.push_back(parse_expression());
  }
  statement.body = parse_body({"endwith"}, true);
}

void Parser::parse_named_block(Block& block) {
  Statement& statement = add(block, Statement::Kind::block, current().line);
  const std::string name = expect_name();
  if (!blocks_.insert(name).second)
    fail_at(statement.line, fmt::format("block '{}' defined twice", name));
  skip_name("scoped");
  skip_name("required");
  const int loops = std::exchange(loops_, 0);
  statement.body = parse_body({"endblock"}, true);
  loops_ = loops;
  skip_name(name);
}

/// Nothing is escaped, so only {% autoescape false %} can be followed.
void Parser::parse_autoescape(Block& block) {
  Statement& statement = add(block, Statement::Kind::scope, current().line);
  const ExpressionRef value = parse_expression();
  if (value->kind != Expression::Kind::constant || truth(value->value))
    fail_at(statement.line, "autoescape is not supported");
  statement.body = parse_body({"endautoescape"}, true);
}

void Parser::parse_include(Block& block) {
  Statement& statement = add(block, Statement::Kind::include, current().line);
  statement.expressions.push_back(parse_expression());
  while (current().kind == TokenKind::name) take();
}

void Parser::parse_print(Block& block) {
  Statement& statement = add(block, Statement::Kind::print, current().line);
  while (current().kind != TokenKind::block_end) {
    if (!statement.expressions.empty()) expect_op(",");
    statement.expressions.push_back(parse_expression());
  }
}

ExpressionRef Parser::parse_target(bool with_tuple, bool with_namespace) {
  const int line = current().line;
  ExpressionRef target =
      with_tuple ? parse_tuple(true, true, false, with_namespace) : parse_primary(with_namespace);
  const auto check = [&](const Expression& expression, const auto& self) -> void {
    using E = Expression::Kind;
    if (expression.kind != E::name && expression.kind != E::tuple &&
        expression.kind != E::namespace_attribute)
      fail_at(line, "can't assign to this expression");
    if (expression.kind == E::tuple)
      for (const ExpressionRef& part : expression.parts) self(*part, self);
  };
  check(*target, check);
  return target;
}

Program parse_program(std::string_view source) {
  Program program = Parser(tokenize(source)).run();
  resolve_names(program);
  return program;
}

}  // namespace bitaxon::jinja
