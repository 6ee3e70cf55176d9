#include <fmt/format.h>

#include <algorithm>

#include "template/parser.h"

namespace bitaxon::jinja {

using TokenKind = Token::Kind;
using E = Expression::Kind;

/// Checks how many expressions lie in each other, because evaluating them needs the C++ stack.
void Parser::measure(Expression& expression) const {
  int highest = 0;
  const auto look = [&](const ExpressionRef& part) {
    if (part) highest = std::max(highest, part->height);
  };
  for (const ExpressionRef& part : expression.parts) look(part);
  for (const ExpressionRef& part : expression.arguments.positional) look(part);
  for (const auto& [name, part] : expression.arguments.named) look(part);
  look(expression.arguments.more_positional);
  look(expression.arguments.more_named);
  expression.height = highest + 1;
  if (expression.height > kMaxHeight) fail("nested too deep");
}

ExpressionRef Parser::make(Expression::Kind kind, int line, std::vector<ExpressionRef> parts) {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = line;
  expression->parts = std::move(parts);
  measure(*expression);
  return expression;
}

ExpressionRef Parser::parse_expression(bool with_condition) {
  const Level level(*this);
  return with_condition ? parse_condition() : parse_or();
}

ExpressionRef Parser::parse_condition() {
  ExpressionRef value = parse_or();
  while (current().is_name("if")) {
    const int line = take().line;
    std::vector<ExpressionRef> parts = both(parse_or(), std::move(value));
    const Level level(*this);
    parts.push_back(skip_name("else") ? parse_condition() : nullptr);
    value = make(E::conditional, line, std::move(parts));
  }
  return value;
}

ExpressionRef Parser::parse_or() {
  ExpressionRef left = parse_and();
  while (current().is_name("or")) {
    const int line = take().line;
    left = make(E::logical_or, line, both(std::move(left), parse_and()));
  }
  return left;
}

ExpressionRef Parser::parse_and() {
  ExpressionRef left = parse_not();
  while (current().is_name("and")) {
    const int line = take().line;
    left = make(E::logical_and, line, both(std::move(left), parse_not()));
  }
  return left;
}

ExpressionRef Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Level level(*this);
  const int line = take().line;
  return make(E::logical_not, line, one(parse_not()));
}

bool Parser::at_comparison(Expression::Comparison& comparison) {
  using C = Expression::Comparison;
  static const std::vector<std::pair<std::string_view, C>> kOperators = {
      {"==", C::eq}, {"!=", C::ne}, {"<", C::lt}, {"<=", C::le}, {">", C::gt}, {">=", C::ge}};
  if (skip_name("in")) {
    comparison = C::in;
    return true;
  }
  if (current().is_name("not") && ahead().is_name("in")) {
    take();
    take();
    comparison = C::not_in;
    return true;
  }
  for (const auto& [op, wanted] : kOperators) {
    if (!skip_op(op)) continue;
    comparison = wanted;
    return true;
  }
  return false;
}

ExpressionRef Parser::parse_compare() {
  const int line = current().line;
  ExpressionRef first = parse_sum();
  std::vector<Expression::Comparison> comparisons;
  std::vector<ExpressionRef> parts = one(std::move(first));
  Expression::Comparison comparison{};
  while (at_comparison(comparison)) {
    comparisons.push_back(comparison);
    parts.push_back(parse_sum());
  }
  if (comparisons.empty()) return std::move(parts[0]);
  ExpressionRef result = make(E::compare, line, std::move(parts));
  result->comparisons = std::move(comparisons);
  return result;
}

ExpressionRef Parser::parse_sum() {
  ExpressionRef left = parse_concat();
  while (current().is_op("+") || current().is_op("-")) {
    const Token& token = take();
    const BinaryOp op = token.text == "+" ? BinaryOp::add : BinaryOp::subtract;
    const int line = token.line;
    left = make(E::binary, line, both(std::move(left), parse_concat()));
    left->op = op;
  }
  return left;
}

ExpressionRef Parser::parse_concat() {
  const int line = current().line;
  std::vector<ExpressionRef> parts = one(parse_product());
  while (skip_op("~")) parts.push_back(parse_product());
  if (parts.size() == 1) return std::move(parts[0]);
  return make(E::concat, line, std::move(parts));
}

ExpressionRef Parser::parse_product() {
  static const std::vector<std::pair<std::string_view, BinaryOp>> kOperators = {
      {"*", BinaryOp::multiply},
      {"/", BinaryOp::divide},
      {"//", BinaryOp::floor_divide},
      {"%", BinaryOp::modulo}};
  ExpressionRef left = parse_power();
  while (true) {
    const auto found = std::ranges::find_if(
        kOperators, [&](const auto& entry) { return current().is_op(entry.first); });
    if (found == kOperators.end()) return left;
    const int line = take().line;
    left = make(E::binary, line, both(std::move(left), parse_power()));
    left->op = found->second;
  }
}

/// Powers group from the left, as in Jinja, not as in Python.
ExpressionRef Parser::parse_power() {
  ExpressionRef left = parse_unary();
  while (current().is_op("**")) {
    const int line = take().line;
    left = make(E::binary, line, both(std::move(left), parse_unary()));
    left->op = BinaryOp::power;
  }
  return left;
}

ExpressionRef Parser::parse_unary(bool with_filter) {
  const Level level(*this);
  const int line = current().line;
  ExpressionRef value;
  if (skip_op("-"))
    value = make(E::negate, line, one(parse_unary(false)));
  else if (skip_op("+"))
    value = make(E::plus, line, one(parse_unary(false)));
  else
    value = parse_primary();
  value = parse_postfix(std::move(value));
  return with_filter ? parse_filters_and_tests(std::move(value)) : std::move(value);
}

ExpressionRef Parser::parse_name(bool with_namespace) {
  const Token& token = take();
  const std::string& name = token.text;
  if (name == "true" || name == "True" || name == "false" || name == "False" || name == "none" ||
      name == "None") {
    ExpressionRef constant = make(E::constant, token.line);
    if (name != "none" && name != "None") constant->value = name == "true" || name == "True";
    return constant;
  }
  ExpressionRef result = make(E::name, token.line);
  result->name = name;
  if (with_namespace && skip_op(".")) {
    result->kind = E::namespace_attribute;
    result->attribute_name = expect_name();
  }
  return result;
}

ExpressionRef Parser::parse_primary(bool with_namespace) {
  const Token& token = current();
  if (token.kind == TokenKind::name) return parse_name(with_namespace);
  if (token.kind == TokenKind::text) {
    std::string text;
    while (current().kind == TokenKind::text) text += take().text;
    ExpressionRef constant = make(E::constant, token.line);
    constant->value = Value::text(text);
    return constant;
  }
  if (token.kind == TokenKind::integer || token.kind == TokenKind::number) {
    ExpressionRef constant = make(E::constant, token.line);
    constant->value = take().value;
    return constant;
  }
  if (skip_op("(")) {
    ExpressionRef tuple = parse_tuple(false, true, true);
    expect_op(")");
    return tuple;
  }
  if (token.is_op("[")) return parse_list();
  if (token.is_op("{")) return parse_mapping();
  fail(fmt::format("unexpected '{}'", described(token)));
}

bool Parser::at_tuple_end() const {
  const Token& token = current();
  return token.kind == TokenKind::variable_end || token.kind == TokenKind::block_end ||
         token.is_op(")") || (!stop_word_.empty() && token.is_name(stop_word_));
}

/// Parses one expression, or several with commas between them, which are a tuple.
ExpressionRef Parser::parse_tuple(bool primaries, bool with_condition, bool in_parentheses,
                                  bool with_namespace) {
  const Level level(*this);
  const int line = current().line;
  std::vector<ExpressionRef> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_op(",");
    if (at_tuple_end()) break;
    items.push_back(primaries ? parse_primary(with_namespace) : parse_expression(with_condition));
    if (!current().is_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return std::move(items[0]);
  if (!is_tuple && !in_parentheses)
    fail(fmt::format("Expected an expression, got '{}'", described(current())));
  return make(E::tuple, line, std::move(items));
}

ExpressionRef Parser::parse_list() {
  const int line = take().line;
  std::vector<ExpressionRef> items;
  while (!current().is_op("]")) {
    if (!items.empty()) expect_op(",");
    if (current().is_op("]")) break;
    items.push_back(parse_expression());
  }
  expect_op("]");
  return make(E::list, line, std::move(items));
}

ExpressionRef Parser::parse_mapping() {
  const int line = take().line;
  std::vector<ExpressionRef> parts;
  while (!current().is_op("}")) {
    if (!parts.empty()) expect_op(",");
    if (current().is_op("}")) break;
    parts.push_back(parse_expression());
    expect_op(":");
    parts.push_back(parse_expression());
  }
  expect_op("}");
  return make(E::mapping, line, std::move(parts));
}

}  // namespace bitaxon::jinja
