#include "template/names.h"

#include <algorithm>

namespace bitaxon::jinja {

int Symbols::slot_of(const std::string& name) {
  // All copies of a scope number its slots together, so a name has one slot in all of them.
  for (std::size_t i = 0; i < scope_->loads.size(); ++i)
    if (scope_->loads[i].name == name) return static_cast<int>(i);
  scope_->loads.push_back({SlotLoad::Kind::undefined, name, {}});
  return static_cast<int>(scope_->loads.size()) - 1;
}

std::optional<Slot> Symbols::find(const std::string& name) const {
  int up = 0;
  for (const Symbols* symbols = this; symbols; symbols = symbols->parent_, ++up)
    if (const auto found = symbols->refs_.find(name); found != symbols->refs_.end())
      return Slot{up, found->second};
  return std::nullopt;
}

void Symbols::load(const std::string& name) {
  if (find(name)) return;
  refs_[name] = slot_of(name);
  loads_[name] = {SlotLoad::Kind::context, name, {}};
}

void Symbols::store(const std::string& name) {
  stores_.insert(name);
  if (refs_.contains(name)) return;
  const std::optional<Slot> outer = find(name);
  refs_[name] = slot_of(name);
  loads_[name] = outer ? SlotLoad{SlotLoad::Kind::alias, name, *outer}
                       : SlotLoad{SlotLoad::Kind::undefined, name, {}};
}

int Symbols::declare_parameter(const std::string& name) {
  stores_.insert(name);
  loads_[name] = {SlotLoad::Kind::parameter, name, {}};
  return refs_[name] = slot_of(name);
}

void Symbols::merge(const std::vector<Symbols>& branches) {
  std::set<std::string> stored;
  for (const Symbols& branch : branches)
    for (const std::string& name : branch.stores_)
      if (!stores_.contains(name)) stored.insert(name);
  for (const Symbols& branch : branches) {
    for (const auto& [name, slot] : branch.refs_) refs_[name] = slot;
    for (const auto& [name, load] : branch.loads_) loads_[name] = load;
    stores_.insert(branch.stores_.begin(), branch.stores_.end());
  }
  // A branch that does not run leaves the name as it was outside.
  for (const std::string& name : stored) {
    std::optional<Slot> outer = parent_ ? parent_->find(name) : std::nullopt;
    if (outer) ++outer->up;
    loads_[name] = outer ? SlotLoad{SlotLoad::Kind::alias, name, *outer}
                         : SlotLoad{SlotLoad::Kind::context, name, {}};
  }
}

void Symbols::keep() const {
  for (const Symbols* symbols = this; symbols; symbols = symbols->parent_)
    symbols->scope_->is_kept = true;
}

void Symbols::finish() const {
  for (SlotLoad& load : scope_->loads)
    if (const auto found = loads_.find(load.name); found != loads_.end()) load = found->second;
}

namespace {

/// Looks for names that are read before they are assigned, in the order of the text.
class UndeclaredNames {
 public:
  explicit UndeclaredNames(std::set<std::string> names) : names_(std::move(names)) {}

  void visit(const Block& block) {
    for (const auto& statement : block) visit(*statement);
  }

  std::set<std::string> take() { return std::move(found_); }

 private:
  void read(const ExpressionRef& expression) {
    if (!expression) return;
    walk(*expression, [&](const Expression& part) {
      if (part.kind == Expression::Kind::name && names_.contains(part.name))
        found_.insert(part.name);
    });
  }
  void assign(const ExpressionRef& target) {
    if (!target) return;
    walk(*target, [&](const Expression& part) {
      if (part.kind == Expression::Kind::name) names_.erase(part.name);
    });
  }
  void visit(const Statement& statement) {
    if (statement.kind == Statement::Kind::block) return;
    assign(statement.target);
    for (const ExpressionRef& target : statement.targets) assign(target);
    for (const ExpressionRef& expression : statement.expressions) read(expression);
    if (statement.macro) {
      for (const Parameter& parameter : statement.macro->parameters) {
        names_.erase(parameter.name);
        read(parameter.fallback);
      }
      visit(statement.macro->body);
    }
    for (const Statement::Branch& branch : statement.branches) {
      read(branch.test);
      visit(branch.body);
    }
    read(statement.filter);
    visit(statement.body);
    visit(statement.otherwise);
    read(statement.loop_test);
  }

  std::set<std::string> names_, found_;
};

}  // namespace

std::set<std::string> undeclared(const MacroBody& macro, std::set<std::string> names) {
  UndeclaredNames search(std::move(names));
  search.visit(macro.body);
  return search.take();
}

}  // namespace bitaxon::jinja
