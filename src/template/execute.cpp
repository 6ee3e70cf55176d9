// Runs statements.
#include <fmt/format.h>

#include "template/frames.h"
#include "template/printing.h"

namespace bitaxon::jinja {

using S = Statement::Kind;

namespace {

/// The items of a loop that pass its test.
class TestedItems : public Iterator {
 public:
  TestedItems(Interpreter& interpreter, const Statement& loop, Env& env,
              std::shared_ptr<Iterator> items)
      : interpreter_(interpreter), loop_(loop), env_(env), items_(std::move(items)) {}
  std::optional<Value> next() override {
    while (std::optional<Value> item = items_->next()) {
      interpreter_.assign(*loop_.target, *item, env_);
      if (truth(interpreter_.evaluate(*loop_.loop_test, env_))) return item;
    }
    return std::nullopt;
  }

 private:
  Interpreter& interpreter_;
  const Statement& loop_;
  Env& env_;
  std::shared_ptr<Iterator> items_;
};

}  // namespace

Interpreter::Interpreter(const Program& program,
                         std::map<std::string, Value, std::less<>> variables, const std::tm& now)
    : program_(program), variables_(std::move(variables)), now_(now) {}

Interpreter::~Interpreter() {
  for (const auto& env : kept_) env->slots.clear();
  root_.slots.clear();
  for (const auto& loop : loops_) loop->clear();
  for (const auto& space : namespaces_) space->clear();
}

TextRef Interpreter::run() {
  root_.slots.resize(program_.scope.loads.size());
  load(program_.scope, root_);
  TextBuilder text;
  out_ = &text;
  run(program_.body, root_);
  out_ = nullptr;
  return text.finish();
}

std::optional<Value> Interpreter::context_value(const std::string& name, const Scope& scope) {
  // Inside of a block, names that the template assigned at its top level are found too.
  if (&scope != &program_.scope)
    for (std::size_t i = 0; i < program_.scope.loads.size(); ++i)
      if (program_.scope.loads[i].name == name && root_.slots[i]) return root_.slots[i];
  if (const auto found = variables_.find(name); found != variables_.end()) return found->second;
  return global_function(name);
}

void Interpreter::load(const Scope& scope, Env& env) {
  for (std::size_t i = 0; i < scope.loads.size(); ++i) {
    const SlotLoad& load = scope.loads[i];
    switch (load.kind) {
      case SlotLoad::Kind::parameter:
        break;
      case SlotLoad::Kind::undefined:
        env.slots[i].reset();
        break;
      case SlotLoad::Kind::alias: {
        const Env* outer = &env;
        for (int up = load.outer.up; up > 0; --up) outer = outer->parent;
        env.slots[i] = outer->slots[static_cast<std::size_t>(load.outer.index)];
        break;
      }
      case SlotLoad::Kind::context:
        env.slots[i] = context_value(load.name, scope);
        break;
    }
  }
}

Value Interpreter::make_namespace() {
  namespaces_.push_back(std::make_shared<Namespace>());
  return Value(std::static_pointer_cast<Object>(namespaces_.back()));
}

void Interpreter::check_output() const {
  if (const Meter* meter = Meter::current();
      meter && out_->size() > meter->limits().max_output_bytes)
    throw Fault(fmt::format("expected at most {} bytes of output, got more",
                            meter->limits().max_output_bytes));
}

void Interpreter::print_value(const Value& value) {
  print(*out_, value);
  check_output();
}

void Interpreter::assign(const Expression& target, const Value& value, Env& env) {
  if (target.kind == Expression::Kind::tuple) {
    const std::shared_ptr<Iterator> items = try_iterate(value);
    if (!items) throw Fault(fmt::format("cannot unpack non-iterable {} object", type_name(value)));
    std::vector<Value> values;
    while (values.size() <= target.parts.size()) {
      std::optional<Value> item = items->next();
      if (!item) break;
      values.push_back(std::move(*item));
    }
    if (values.size() != target.parts.size())
      throw Fault(fmt::format("{} values to unpack (expected {})",
                              values.size() < target.parts.size() ? "not enough" : "too many",
                              target.parts.size()));
    for (std::size_t i = 0; i < values.size(); ++i) assign(*target.parts[i], values[i], env);
    return;
  }
  if (target.kind == Expression::Kind::namespace_attribute) {
    const Value object = evaluate_name(target, env);
    Namespace* space = object.as<Namespace>();
    if (!space) throw Fault("cannot assign attribute on non-namespace object");
    return space->set(target.attribute_name, value);
  }
  Env* scope = &env;
  for (int up = target.slot.up; up > 0; --up) scope = scope->parent;
  scope->slots[static_cast<std::size_t>(target.slot.index)] = value;
}

Interpreter::Flow Interpreter::run(const Block& block, Env& env) {
  for (const auto& statement : block)
    if (const Flow flow = run(*statement, env); flow != Flow::next) return flow;
  return Flow::next;
}

Interpreter::Flow Interpreter::run_if(const Statement& statement, Env& env) {
  for (const Statement::Branch& branch : statement.branches)
    if (truth(evaluate(*branch.test, env))) return run(branch.body, env);
  return run(statement.otherwise, env);
}

Interpreter::Flow Interpreter::run_loop(const Statement& statement, Env& outer,
                                        const Value& iterable, int depth) {
  Entered test(*this, statement.test_scope, &outer);
  std::shared_ptr<Iterator> items = iterate(iterable);
  Value looped = iterable;
  if (statement.loop_test) {
    items = Iterator::make<TestedItems>(*this, statement, test.env(), items);
    looped = Value(std::static_pointer_cast<Object>(items));
  }
  Entered inner(*this, statement.scope, &outer);
  Env& env = inner.env();
  auto loop = std::make_shared<Loop>(looped, std::move(items), depth);
  looped = None{};
  if (statement.is_recursive) loop->allow_recursion(statement, outer);
  std::optional<Value>& slot = env.slots[static_cast<std::size_t>(statement.loop_slot)];
  const LoopGuard guard(*this, loop, slot, statement.loop_test != nullptr);
  bool ran = false;
  while (const std::optional<Value> item = loop->advance()) {
    slot = Value(std::static_pointer_cast<Object>(loop));
    assign(*statement.target, *item, env);
    load(statement.scope, env);
    const Flow flow = run(statement.body, env);
    // As in the original, a round that break or continue ends does not count as one that ran.
    if (flow == Flow::next) ran = true;
    if (flow == Flow::break_loop) break;
    line_ = statement.line;
  }
  if (ran || statement.otherwise.empty()) return Flow::next;
  Entered otherwise(*this, statement.otherwise_scope, &outer);
  return run(statement.otherwise, otherwise.env());
}

Value Interpreter::recurse(const Statement& statement, Env& outer, const Value& iterable,
                           int depth) {
  Capture capture(*this);
  run_loop(statement, outer, iterable, depth);
  return capture.finish();
}

Interpreter::Flow Interpreter::run_with(const Statement& statement, Env& env) {
  Entered inner(*this, statement.scope, &env);
  for (std::size_t i = 0; i < statement.targets.size(); ++i)
    assign(*statement.targets[i], evaluate(*statement.expressions[i], env), inner.env());
  return run(statement.body, inner.env());
}

void Interpreter::run_set(const Statement& statement, Env& env) {
  const auto check = [&](const Expression& target, const auto& self) -> void {
    if (target.kind == Expression::Kind::namespace_attribute &&
        !evaluate_name(target, env).as<Namespace>())
      throw Fault("cannot assign attribute on non-namespace object");
    for (const ExpressionRef& part : target.parts) self(*part, self);
  };
  check(*statement.target, check);
  assign(*statement.target, evaluate(*statement.expressions[0], env), env);
}

/// Runs a statement whose body is captured as a text: a set block, a filter or a generation block.
Interpreter::Flow Interpreter::run_captured(const Statement& statement, Env& env) {
  Entered inner(*this, statement.scope, &env);
  Value text;
  {
    Capture capture(*this);
    if (const Flow flow = run(statement.body, inner.env()); flow != Flow::next) return flow;
    text = capture.finish();
  }
  if (statement.filter) text = filter_text(*statement.filter, std::move(text), inner.env());
  if (statement.kind == S::set_block)
    assign(*statement.target, text, env);
  else
    print_value(text);
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const Statement& statement, Env& env) {
  const Nested nested;
  line_ = statement.line;
  switch (statement.kind) {
    case S::text:
      print_value(statement.text);
      return Flow::next;
    case S::print:
      for (const ExpressionRef& expression : statement.expressions)
        print_value(evaluate(*expression, env));
      return Flow::next;
    case S::set:
      run_set(statement, env);
      return Flow::next;
    case S::set_block:
    case S::filter:
    case S::generation:
      return run_captured(statement, env);
    case S::if_else:
      return run_if(statement, env);
    case S::loop: {
      const Value iterable = evaluate(*statement.expressions[0], env);
      if (!statement.is_recursive) return run_loop(statement, env, iterable, 0);
      print_value(recurse(statement, env, iterable, 0));
      return Flow::next;
    }
    case S::macro:
      env.slots[static_cast<std::size_t>(statement.loop_slot)] =
          Value(std::static_pointer_cast<Object>(std::make_shared<Macro>(*statement.macro, env)));
      return Flow::next;
    case S::call: {
      const Value caller(
          std::static_pointer_cast<Object>(std::make_shared<Macro>(*statement.macro, env)));
      print_value(evaluate_call(*statement.expressions[0], env, &caller));
      return Flow::next;
    }
    case S::with:
      return run_with(statement, env);
    case S::block: {
      Entered inner(*this, statement.scope, nullptr);
      return run(statement.body, inner.env());
    }
    case S::scope: {
      Entered inner(*this, statement.scope, &env);
      return run(statement.body, inner.env());
    }
    case S::include:
      throw Fault("the tag 'include' is not supported: a chat template is one file");
    case S::break_loop:
      return Flow::break_loop;
    case S::continue_loop:
      return Flow::continue_loop;
  }
  return Flow::next;
}

}  // namespace bitaxon::jinja
