// Which slot of which scope a name means. The rules are those of Jinja's compiler: a name that a
// scope assigns anywhere is that scope's own, and begins as a copy of the outer one.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "template/ast.h"

namespace bitaxon::jinja {

/// The names of one scope while the template is examined.
class Symbols {
 public:
  Symbols(const Symbols* parent, Scope& scope) : parent_(parent), scope_(&scope) {}

  void load(const std::string& name);
  void store(const std::string& name);
  int declare_parameter(const std::string& name);
  /// Takes over what the branches of an if statement did to copies of this object.
  void merge(const std::vector<Symbols>& branches);
  /// The slot of a name, seen from this scope.
  std::optional<Slot> find(const std::string& name) const;
  /// Marks the scope and all outer ones as kept.
  void keep() const;
  /// Writes the slots into the scope.
  void finish() const;

 private:
  int slot_of(const std::string& name);

  const Symbols* parent_;
  Scope* scope_;
  std::map<std::string, int> refs_;
  std::map<std::string, SlotLoad> loads_;
  std::set<std::string> stores_;
};

/// Which of the given names the block reads without having assigned them before.
std::set<std::string> undeclared(const MacroBody& macro, std::set<std::string> names);

/// Calls visit(expression) for every expression in an expression, itself included.
template <class Visit>
void walk(const Expression& expression, const Visit& visit) {
  visit(expression);
  const auto go = [&](const ExpressionRef& part) {
    if (part) walk(*part, visit);
  };
  for (const ExpressionRef& part : expression.parts) go(part);
  for (const ExpressionRef& part : expression.arguments.positional) go(part);
  for (const auto& [name, part] : expression.arguments.named) go(part);
  go(expression.arguments.more_positional);
  go(expression.arguments.more_named);
}

}  // namespace bitaxon::jinja
