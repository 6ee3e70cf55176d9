// Runs a parsed template.
#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "template/ast.h"
#include "template/objects.h"

namespace bitaxon::jinja {

/// The values of a scope while it runs.
struct Env {
  Env* parent = nullptr;
  std::vector<std::optional<Value>> slots;
  Charge charge;
};

class Loop;

class Interpreter {
 public:
  /// `variables`: the names that are given to the template.
  Interpreter(const Program& program, std::map<std::string, Value, std::less<>> variables,
              const std::tm& now);
  /// Frees values that refer to each other.
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  TextRef run();
  /// The line of the template that runs, for messages.
  int line() const { return line_; }
  const std::tm& now() const { return now_; }

  Value call(const Value& function, const Arguments& arguments);
  Value evaluate(const Expression& expression, Env& env);
  /// Calls a macro whose outer scope is `outer`.
  Value invoke(const MacroBody& macro, Env& outer, const Arguments& arguments);
  /// Runs the loop statement again over other items and returns its text.
  Value recurse(const Statement& loop, Env& outer, const Value& iterable, int depth);
  Value make_namespace();
  /// Sets the names of a loop target.
  void assign(const Expression& target, const Value& value, Env& env);
  /// Gives the slots of a scope their first values.
  void load(const Scope& scope, Env& env);

 private:
  enum class Flow { next, break_loop, continue_loop };
  class Entered;
  class Capture;
  class LoopGuard;

  Value evaluate_conditional(const Expression& expression, Env& env);
  Value evaluate_compare(const Expression& expression, Env& env);
  Value evaluate_concat(const Expression& expression, Env& env);
  Value evaluate_mapping(const Expression& expression, Env& env);
  Value evaluate_name(const Expression& expression, Env& env);
  Value evaluate_call(const Expression& expression, Env& env, const Value* caller);
  std::vector<Value> evaluate_all(const std::vector<ExpressionRef>& parts, Env& env);
  void evaluate_arguments(const CallArguments& wanted, Env& env, Arguments& arguments);
  /// Applies a chain of filters to the text of a block.
  Value filter_text(const Expression& filter, Value text, Env& env);

  Flow run(const Block& block, Env& env);
  Flow run(const Statement& statement, Env& env);
  Flow run_if(const Statement& statement, Env& env);
  Flow run_loop(const Statement& statement, Env& outer, const Value& iterable, int depth);
  Flow run_captured(const Statement& statement, Env& env);
  void run_set(const Statement& statement, Env& env);
  Flow run_with(const Statement& statement, Env& env);
  void print_value(const Value& value);
  void check_output() const;
  std::optional<Value> context_value(const std::string& name, const Scope& scope);

  const Program& program_;
  std::map<std::string, Value, std::less<>> variables_;
  std::tm now_;
  int line_ = 1;
  Env root_;
  TextBuilder* out_ = nullptr;
  std::vector<std::unique_ptr<Env>> kept_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
  std::vector<std::shared_ptr<Loop>> loops_;
};

/// A macro, or the body of a call block.
class Macro : public Object {
 public:
  Macro(const MacroBody& body, Env& outer) : body_(body), outer_(outer) {}
  std::string type_name() const override { return "Macro"; }
  TextRef repr() const override;
  std::optional<Value> attribute(std::string_view name) override;
  bool is_callable() const override { return true; }
  Value call(Interpreter& interpreter, const Arguments& arguments) override {
    return interpreter.invoke(body_, outer_, arguments);
  }

 private:
  const MacroBody& body_;
  Env& outer_;
};

/// The functions that every template has: range, namespace, raise_exception...
std::optional<Value> global_function(std::string_view name);

}  // namespace bitaxon::jinja
