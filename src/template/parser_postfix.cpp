// What follows an expression: items, attributes, calls, filters and tests.
#include "template/parser.h"

namespace bitaxon::jinja {

using TokenKind = Token::Kind;
using E = Expression::Kind;

ExpressionRef Parser::parse_postfix(ExpressionRef expression) {
  while (true) {
    if (current().is_op(".") || current().is_op("["))
      expression = parse_subscript(std::move(expression));
    else if (current().is_op("("))
      expression = parse_call(std::move(expression));
    else
      return expression;
  }
}

ExpressionRef Parser::parse_filters_and_tests(ExpressionRef expression) {
  while (true) {
    if (current().is_op("|"))
      expression = parse_filter(std::move(expression));
    else if (current().is_name("is"))
      expression = parse_test(std::move(expression));
    else if (current().is_op("("))
      expression = parse_call(std::move(expression));
    else
      return expression;
  }
}

ExpressionRef Parser::parse_subscript(ExpressionRef expression) {
  const Token& token = take();
  if (token.text == "[") return parse_subscribed(std::move(expression), token.line);
  const Token& name = take();
  if (name.kind == TokenKind::name) {
    ExpressionRef result = make(E::attribute, token.line, one(std::move(expression)));
    result->name = name.text;
    return result;
  }
  if (name.kind != TokenKind::integer) fail_at(name.line, "expected name or number");
  ExpressionRef index = make(E::constant, name.line);
  index->value = name.value;
  return make(E::item, token.line, both(std::move(expression), std::move(index)));
}

ExpressionRef Parser::parse_subscribed(ExpressionRef expression, int line) {
  std::vector<ExpressionRef> bounds;
  bool is_slice = false;
  const auto parse_bound = [&] {
    const bool empty = current().is_op(":") || current().is_op("]") || current().is_op(",");
    bounds.push_back(empty ? nullptr : parse_expression());
  };
  if (current().is_op("]"))
    bounds.push_back(make(E::tuple, line));
  else
    parse_bound();
  while (bounds.size() < 3 && skip_op(":")) {
    is_slice = true;
    parse_bound();
  }
  if (!is_slice && current().is_op(",")) {
    // Several indices are a tuple.
    while (skip_op(",")) bounds.push_back(parse_expression());
    ExpressionRef tuple = make(E::tuple, line, std::move(bounds));
    bounds = one(std::move(tuple));
  }
  expect_op("]");
  if (!is_slice) return make(E::item, line, both(std::move(expression), std::move(bounds[0])));
  bounds.resize(3);
  bounds.insert(bounds.begin(), std::move(expression));
  return make(E::slice, line, std::move(bounds));
}

CallArguments Parser::parse_arguments() {
  const int line = current().line;
  CallArguments result;
  const auto ensure = [&](bool fine) {
    if (!fine) fail_at(line, "invalid syntax for function call expression");
  };
  expect_op("(");
  for (bool first = true; !current().is_op(")"); first = false) {
    if (!first) expect_op(",");
    if (current().is_op(")")) break;
    if (skip_op("*")) {
      ensure(!result.more_positional && !result.more_named);
      result.more_positional = parse_expression();
    } else if (skip_op("**")) {
      ensure(!result.more_named);
      result.more_named = parse_expression();
    } else if (current().kind == TokenKind::name && ahead().is_op("=")) {
      ensure(!result.more_named);
      std::string name = take().text;
      take();
      for (const auto& [other, value] : result.named) ensure(other != name);
      result.named.emplace_back(std::move(name), parse_expression());
    } else {
      ensure(!result.more_positional && !result.more_named && result.named.empty());
      result.positional.push_back(parse_expression());
    }
  }
  expect_op(")");
  return result;
}

ExpressionRef Parser::parse_call(ExpressionRef expression) {
  const int line = current().line;
  ExpressionRef call = make(E::call, line, one(std::move(expression)));
  call->arguments = parse_arguments();
  measure(*call);
  return call;
}

ExpressionRef Parser::parse_filter(ExpressionRef expression) {
  if (current().is_op("|")) take();
  const int line = current().line;
  std::string name = expect_name();
  while (skip_op(".")) name.append(1, '.').append(expect_name());
  ExpressionRef filter = make(E::filter, line, one(std::move(expression)));
  filter->name = std::move(name);
  if (current().is_op("(")) filter->arguments = parse_arguments();
  measure(*filter);
  return filter;
}

ExpressionRef Parser::parse_test(ExpressionRef expression) {
  const int line = take().line;
  const bool negated = skip_name("not");
  std::string name = expect_name();
  while (skip_op(".")) name.append(1, '.').append(expect_name());
  ExpressionRef test = make(E::test, line, one(std::move(expression)));
  test->name = std::move(name);
  const Token& next = current();
  const bool begins_value = next.kind == TokenKind::name || next.kind == TokenKind::text ||
                            next.kind == TokenKind::integer || next.kind == TokenKind::number ||
                            next.is_op("[") || next.is_op("{");
  if (next.is_op("(")) {
    test->arguments = parse_arguments();
  } else if (begins_value && !next.is_name("else") && !next.is_name("or") && !next.is_name("and")) {
    if (next.is_name("is")) fail("You cannot chain multiple tests with is");
    test->arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  measure(*test);
  return negated ? make(E::logical_not, line, one(std::move(test))) : std::move(test);
}

}  // namespace bitaxon::jinja
