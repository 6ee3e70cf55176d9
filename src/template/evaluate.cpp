// Evaluates expressions.
#include <fmt/format.h>

#include <algorithm>

#include "template/attributes.h"
#include "template/comparison.h"
#include "template/filters.h"
#include "template/interpreter.h"
#include "template/printing.h"

namespace bitaxon::jinja {

using E = Expression::Kind;

Value Interpreter::evaluate_name(const Expression& expression, Env& env) {
  Env* scope = &env;
  for (int up = expression.slot.up; up > 0; --up) scope = scope->parent;
  const std::optional<Value>& value = scope->slots[static_cast<std::size_t>(expression.slot.index)];
  if (value) return *value;
  return Value::undefined(fmt::format("{} is undefined", quoted_text(expression.name)));
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<ExpressionRef>& parts, Env& env) {
  std::vector<Value> values;
  values.reserve(parts.size());
  for (const ExpressionRef& part : parts) values.push_back(evaluate(*part, env));
  return values;
}

Value Interpreter::evaluate_mapping(const Expression& expression, Env& env) {
  Mapping::Entries entries;
  for (std::size_t i = 0; i < expression.parts.size(); i += 2) {
    Value key = evaluate(*expression.parts[i], env);
    entries.emplace_back(std::move(key), evaluate(*expression.parts[i + 1], env));
  }
  return make_mapping(std::move(entries));
}

Value Interpreter::evaluate_conditional(const Expression& expression, Env& env) {
  if (truth(evaluate(*expression.parts[0], env))) return evaluate(*expression.parts[1], env);
  if (expression.parts[2]) return evaluate(*expression.parts[2], env);
  return Value::undefined(
      fmt::format("the inline if-expression on line {} evaluated to false and no else section was "
                  "defined.",
                  expression.line));
}

Value Interpreter::evaluate_compare(const Expression& expression, Env& env) {
  using C = Expression::Comparison;
  Value left = evaluate(*expression.parts[0], env);
  for (std::size_t i = 0; i < expression.comparisons.size(); ++i) {
    Value right = evaluate(*expression.parts[i + 1], env);
    bool holds = false;
    const auto ordered = [&](std::string_view op) { return order(left, right, op); };
    switch (expression.comparisons[i]) {
      case C::eq:
        holds = equal(left, right);
        break;
      case C::ne:
        holds = !equal(left, right);
        break;
      case C::lt:
        if (const auto o = ordered("<")) holds = *o < 0;
        break;
      case C::le:
        if (const auto o = ordered("<=")) holds = *o <= 0;
        break;
      case C::gt:
        if (const auto o = ordered(">")) holds = *o > 0;
        break;
      case C::ge:
        if (const auto o = ordered(">=")) holds = *o >= 0;
        break;
      case C::in:
        holds = contains(right, left);
        break;
      case C::not_in:
        holds = !contains(right, left);
        break;
    }
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::evaluate_concat(const Expression& expression, Env& env) {
  const std::vector<Value> values = evaluate_all(expression.parts, env);
  TextBuilder text;
  for (const Value& value : values) print(text, value);
  return Value(text.finish());
}

void Interpreter::evaluate_arguments(const CallArguments& wanted, Env& env, Arguments& arguments) {
  for (const ExpressionRef& part : wanted.positional)
    arguments.positional.push_back(evaluate(*part, env));
  for (const auto& [name, part] : wanted.named)
    arguments.named.emplace_back(name, evaluate(*part, env));
  if (wanted.more_positional)
    for (Value& value : items_of(evaluate(*wanted.more_positional, env)))
      arguments.positional.push_back(std::move(value));
  if (!wanted.more_named) return;
  const Value more = evaluate(*wanted.more_named, env);
  if (!more.is(Kind::mapping)) throw Fault("argument after ** must be a mapping");
  for (const auto& [key, value] : more.as_mapping().entries) {
    if (!key.is(Kind::text)) throw Fault("keywords must be strings");
    for (const auto& [name, other] : arguments.named)
      if (name == key.as_text().bytes())
        throw Fault(fmt::format("got multiple values for keyword argument '{}'", name));
    arguments.named.emplace_back(key.as_text().bytes(), value);
  }
}

Value Interpreter::evaluate_call(const Expression& expression, Env& env, const Value* caller) {
  const Value function = evaluate(*expression.parts[0], env);
  Arguments arguments;
  evaluate_arguments(expression.arguments, env, arguments);
  if (caller) arguments.named.emplace_back("caller", *caller);
  line_ = expression.line;
  return call(function, arguments);
}

Value Interpreter::call(const Value& function, const Arguments& arguments) {
  const Nested nested;
  if (function.is_undefined()) fail_undefined(function);
  if (!function.is(Kind::object))
    throw Fault(fmt::format("'{}' object is not callable", type_name(function)));
  return function.as_object().call(*this, arguments);
}

Value Interpreter::evaluate(const Expression& expression, Env& env) {
  const Nested nested;
  const auto part = [&](std::size_t i) { return evaluate(*expression.parts[i], env); };
  const auto bound = [&](std::size_t i) { return expression.parts[i] ? part(i) : Value(None{}); };
  switch (expression.kind) {
    case E::constant:
      return expression.value;
    case E::name:
    case E::namespace_attribute:
      return evaluate_name(expression, env);
    case E::attribute: {
      const Value value = part(0);
      line_ = expression.line;
      return attribute_of(value, expression.name);
    }
    case E::item: {
      const Value value = part(0), key = part(1);
      line_ = expression.line;
      return item_of(value, key);
    }
    case E::slice: {
      const Value value = part(0), start = bound(1), stop = bound(2);
      return slice_of(value, start, stop, bound(3));
    }
    case E::list:
      return Value::list(evaluate_all(expression.parts, env));
    case E::tuple:
      return Value::tuple(evaluate_all(expression.parts, env));
    case E::mapping:
      return evaluate_mapping(expression, env);
    case E::call:
      return evaluate_call(expression, env, nullptr);
    case E::filter:
    case E::test: {
      Arguments arguments;
      arguments.positional.push_back(part(0));
      evaluate_arguments(expression.arguments, env, arguments);
      line_ = expression.line;
      if (expression.kind == E::filter) return apply_filter(*this, expression.name, arguments);
      return apply_test(*this, expression.name, arguments);
    }
    case E::binary: {
      const Value left = part(0), right = part(1);
      line_ = expression.line;
      return binary(expression.op, left, right);
    }
    case E::negate:
      return negated(part(0));
    case E::plus:
      return plus(part(0));
    case E::logical_not:
      return !truth(part(0));
    case E::logical_and: {
      Value left = part(0);
      return truth(left) ? part(1) : left;
    }
    case E::logical_or: {
      Value left = part(0);
      return truth(left) ? left : part(1);
    }
    case E::concat:
      return evaluate_concat(expression, env);
    case E::compare:
      return evaluate_compare(expression, env);
    case E::conditional:
      return evaluate_conditional(expression, env);
  }
  throw Fault("an unknown expression");
}

Value Interpreter::filter_text(const Expression& filter, Value text, Env& env) {
  if (filter.parts[0]) text = filter_text(*filter.parts[0], std::move(text), env);
  Arguments arguments;
  arguments.positional.push_back(std::move(text));
  evaluate_arguments(filter.arguments, env, arguments);
  line_ = filter.line;
  return apply_filter(*this, filter.name, arguments);
}

}  // namespace bitaxon::jinja
