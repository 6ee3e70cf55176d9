// The parser of templates. Its two files hold the statements and the expressions.
#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "template/ast.h"
#include "template/lexer.h"

namespace bitaxon::jinja {

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  Program run();

 private:
  using Names = std::initializer_list<std::string_view>;

  /// Counts the levels of nesting, which the C++ stack must hold.
  class Level;

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& take();
  bool skip_name(std::string_view name);
  bool skip_op(std::string_view op);
  void expect_op(std::string_view op);
  std::string expect_name();
  void expect_keyword(std::string_view name);
  void expect(Token::Kind kind, std::string_view what);
  [[noreturn]] void fail(std::string_view message) const { fail_at(current().line, message); }

  // Statements.
  Block parse_block(Names ends);
  Block parse_body(Names ends, bool skip_end);
  void parse_statement(Block& block);
  void parse_for(Block& block);
  void parse_if(Block& block);
  void parse_set(Block& block);
  void parse_macro(Block& block);
  void parse_call_block(Block& block);
  void parse_generation(Block& block);
  void parse_filter_block(Block& block);
  void parse_with(Block& block);
  void parse_named_block(Block& block);
  void parse_autoescape(Block& block);
  void parse_include(Block& block);
  void parse_print(Block& block);
  void parse_signature(MacroBody& macro);
  Statement& add(Block& block, Statement::Kind kind, int line);
  ExpressionRef parse_target(bool with_tuple, bool with_namespace);

  // Expressions.
  ExpressionRef make(Expression::Kind kind, int line, std::vector<ExpressionRef> parts = {});
  ExpressionRef parse_expression(bool with_condition = true);
  ExpressionRef parse_condition();
  ExpressionRef parse_or();
  ExpressionRef parse_and();
  ExpressionRef parse_not();
  ExpressionRef parse_compare();
  ExpressionRef parse_sum();
  ExpressionRef parse_concat();
  ExpressionRef parse_product();
  ExpressionRef parse_power();
  ExpressionRef parse_unary(bool with_filter = true);
  ExpressionRef parse_primary(bool with_namespace = false);
  ExpressionRef parse_name(bool with_namespace);
  ExpressionRef parse_tuple(bool primaries, bool with_condition, bool in_parentheses,
                            bool with_namespace = false);
  ExpressionRef parse_list();
  ExpressionRef parse_mapping();
  ExpressionRef parse_postfix(ExpressionRef expression);
  ExpressionRef parse_filters_and_tests(ExpressionRef expression);
  ExpressionRef parse_subscript(ExpressionRef expression);
  ExpressionRef parse_subscribed(ExpressionRef expression, int line);
  ExpressionRef parse_call(ExpressionRef expression);
  ExpressionRef parse_filter(ExpressionRef expression);
  ExpressionRef parse_test(ExpressionRef expression);
  CallArguments parse_arguments();
  bool at_tuple_end() const;
  bool at_comparison(Expression::Comparison& comparison);
  void measure(Expression& expression) const;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int level_ = 0;
  std::set<std::string> blocks_;  ///< the names of the blocks so far
  int loops_ = 0;                 ///< the loops around the statement, which break and continue need
  std::string_view stop_word_;    ///< a word that ends a list of expressions: in or recursive
};

/// Deeper nesting than this is refused. A pair of brackets counts up to three levels.
inline constexpr int kMaxNesting = 400;
/// The most expressions in each other, such as the terms of one sum.
inline constexpr int kMaxHeight = 500;

class Parser::Level {
 public:
  explicit Level(Parser& parser) : parser_(parser) {
    if (++parser_.level_ > kMaxNesting) parser_.fail("nested too deep");
  }
  ~Level() { --parser_.level_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Parser& parser_;
};

/// A vector of two expressions, which cannot be written as an initializer list.
inline std::vector<ExpressionRef> both(ExpressionRef a, ExpressionRef b) {
  std::vector<ExpressionRef> parts;
  parts.push_back(std::move(a));
  parts.push_back(std::move(b));
  return parts;
}

/// A vector of one expression.
inline std::vector<ExpressionRef> one(ExpressionRef a) {
  std::vector<ExpressionRef> parts;
  parts.push_back(std::move(a));
  return parts;
}

}  // namespace bitaxon::jinja
