// Finds the slots of all names of a template.
#include <fmt/format.h>

#include "template/filters.h"
#include "template/lexer.h"
#include "template/names.h"

namespace bitaxon::jinja {
namespace {

using E = Expression::Kind;
using S = Statement::Kind;

void load_names(Symbols& symbols, const ExpressionRef& expression) {
  if (!expression) return;
  walk(*expression, [&](const Expression& part) {
    if (part.kind == E::name || part.kind == E::namespace_attribute) symbols.load(part.name);
  });
}

void store_names(Symbols& symbols, const ExpressionRef& target) {
  walk(*target, [&](const Expression& part) {
    if (part.kind == E::name) symbols.store(part.name);
    if (part.kind == E::namespace_attribute) symbols.load(part.name);
  });
}

void declare_names(Symbols& symbols, const ExpressionRef& target) {
  walk(*target, [&](const Expression& part) {
    if (part.kind == E::name) symbols.declare_parameter(part.name);
  });
}

/// Tells the symbols of a scope what the statements of the scope do. Inner scopes are not entered.
void examine(Symbols& symbols, const Block& block);

void examine_if(Symbols& symbols, const Statement& statement, std::size_t branch) {
  load_names(symbols, statement.branches[branch].test);
  // The original nests: each elif is an if statement in a list of its own.
  if (branch > 0) {
    std::vector<Symbols> body(1, symbols);
    examine(body[0], statement.branches[branch].body);
    symbols.merge(body);
    return;
  }
  std::vector<Symbols> branches(3, symbols);
  examine(branches[0], statement.branches[0].body);
  for (std::size_t i = 1; i < statement.branches.size(); ++i) examine_if(branches[1], statement, i);
  examine(branches[2], statement.otherwise);
  symbols.merge(branches);
}

void examine(Symbols& symbols, const Block& block) {
  for (const auto& statement : block) {
    switch (statement->kind) {
      case S::print:
      case S::loop:
      case S::call:
      case S::with:
      case S::include:
        for (const ExpressionRef& expression : statement->expressions)
          load_names(symbols, expression);
        break;
      case S::set:
        load_names(symbols, statement->expressions[0]);
        store_names(symbols, statement->target);
        break;
      case S::set_block:
        store_names(symbols, statement->target);
        break;
      case S::filter:
        load_names(symbols, statement->filter);
        break;
      case S::macro:
        symbols.store(statement->macro->name);
        break;
      case S::if_else:
        examine_if(symbols, *statement, 0);
        break;
      default:
        break;
    }
  }
}

class Resolver {
 public:
  void run(Program& program) {
    Symbols symbols(nullptr, program.scope);
    examine(symbols, program.body);
    resolve(symbols, program.body, false);
    symbols.finish();
  }

 private:
  /// Sets the slots of the names in an expression. `soft`: an unknown filter fails only when it is
  /// used.
  void resolve(Symbols& symbols, const ExpressionRef& expression, bool soft) {
    if (!expression) return;
    Expression& node = *expression;
    if (node.kind == E::name || node.kind == E::namespace_attribute) {
      symbols.load(node.name);
      node.slot = *symbols.find(node.name);
    }
    if (node.kind == E::conditional) soft = true;
    if (node.kind == E::filter && !soft && !is_filter(node.name))
      fail_at(node.line, fmt::format("No filter named '{}'.", node.name));
    if (node.kind == E::test && !soft && !is_test(node.name))
      fail_at(node.line, fmt::format("No test named '{}'.", node.name));
    for (const ExpressionRef& part : node.parts) resolve(symbols, part, soft);
    for (const ExpressionRef& part : node.arguments.positional) resolve(symbols, part, soft);
    for (const auto& [name, part] : node.arguments.named) resolve(symbols, part, soft);
    resolve(symbols, node.arguments.more_positional, soft);
    resolve(symbols, node.arguments.more_named, soft);
  }

  void resolve_target(Symbols& symbols, const ExpressionRef& target) {
    walk(*target, [&](const Expression& part) {
      if (loops_ > 0 && part.kind == E::name && part.name == "loop")
        fail_at(part.line, "Can't assign to special loop variable in for-loop target");
    });
    resolve(symbols, target, false);
  }

  void resolve(Symbols& symbols, Block& block, bool soft) {
    for (const auto& statement : block) resolve(symbols, *statement, soft);
  }

  /// Resolves a body in a scope of its own.
  void resolve_inner(Symbols& symbols, Block& body) {
    resolve(symbols, body, false);
    symbols.finish();
  }

  void resolve(Symbols& symbols, Statement& statement, bool soft) {
    switch (statement.kind) {
      case S::loop:
        return resolve_loop(symbols, statement, soft);
      case S::macro:
        statement.macro->scope.is_kept = false;
        resolve_macro(symbols, *statement.macro);
        statement.loop_slot = symbols.find(statement.macro->name)->index;
        return;
      case S::with:
        return resolve_with(symbols, statement, soft);
      case S::if_else:
        for (Statement::Branch& branch : statement.branches) {
          resolve(symbols, branch.test, true);
          resolve(symbols, branch.body, true);
        }
        return resolve(symbols, statement.otherwise, true);
      case S::block: {
        Symbols inner(nullptr, statement.scope);
        examine(inner, statement.body);
        return resolve_inner(inner, statement.body);
      }
      default:
        break;
    }
    for (const ExpressionRef& expression : statement.expressions)
      resolve(symbols, expression, soft);
    if (statement.target) resolve_target(symbols, statement.target);
    if (statement.macro) return resolve_macro(symbols, *statement.macro);
    Symbols inner(&symbols, statement.scope);
    examine(inner, statement.body);
    if (statement.filter) {
      load_names(inner, statement.filter);
      resolve(inner, statement.filter, false);
    }
    resolve_inner(inner, statement.body);
  }

  void resolve_loop(Symbols& symbols, Statement& loop, bool soft) {
    resolve(symbols, loop.expressions[0], soft);
    ++loops_;
    Symbols inner(&symbols, loop.scope);
    loop.loop_slot = inner.declare_parameter("loop");
    declare_names(inner, loop.target);
    examine(inner, loop.body);
    if (loop.is_recursive) inner.keep();
    resolve_target(inner, loop.target);
    resolve_inner(inner, loop.body);
    if (loop.loop_test) {
      // The target has the same slots as in the scope of the body: the first slot stays unused.
      Symbols test(&symbols, loop.test_scope);
      test.declare_parameter("");
      declare_names(test, loop.target);
      load_names(test, loop.loop_test);
      resolve(test, loop.loop_test, false);
      test.finish();
    }
    Symbols otherwise(&symbols, loop.otherwise_scope);
    examine(otherwise, loop.otherwise);
    resolve_inner(otherwise, loop.otherwise);
    --loops_;
  }

  void resolve_macro(Symbols& symbols, MacroBody& macro) {
    symbols.keep();
    Symbols inner(&symbols, macro.scope);
    for (Parameter& parameter : macro.parameters)
      parameter.slot = inner.declare_parameter(parameter.name);
    for (const Parameter& parameter : macro.parameters) load_names(inner, parameter.fallback);
    examine(inner, macro.body);
    declare_special(inner, macro);
    for (const Parameter& parameter : macro.parameters) resolve(inner, parameter.fallback, false);
    resolve_inner(inner, macro.body);
  }

  /// Declares caller, kwargs and varargs if the body reads them.
  static void declare_special(Symbols& inner, MacroBody& macro) {
    for (const std::string& name : undeclared(macro, {"caller", "kwargs", "varargs"})) {
      bool is_parameter = false;
      for (const Parameter& parameter : macro.parameters) {
        is_parameter = is_parameter || parameter.name == name;
        if (parameter.name == name && name == "caller" && !parameter.fallback)
          throw Fault(
              "When defining macros or call blocks the special \"caller\" argument must be omitted "
              "or be given a default.");
      }
      if (is_parameter) continue;
      const int slot = inner.declare_parameter(name);
      (name == "caller"   ? macro.caller_slot
       : name == "kwargs" ? macro.named_slot
                          : macro.positional_slot) = slot;
    }
  }

  void resolve_with(Symbols& symbols, Statement& with, bool soft) {
    for (const ExpressionRef& value : with.expressions) resolve(symbols, value, soft);
    Symbols inner(&symbols, with.scope);
    for (const ExpressionRef& target : with.targets) declare_names(inner, target);
    examine(inner, with.body);
    for (const ExpressionRef& target : with.targets) resolve(inner, target, false);
    resolve_inner(inner, with.body);
  }

  int loops_ = 0;
};

}  // namespace

void resolve_names(Program& program) { Resolver().run(program); }

}  // namespace bitaxon::jinja
