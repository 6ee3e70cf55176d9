// What lives while a statement runs: scopes, captured output and loops.
#pragma once

#include "template/interpreter.h"
#include "template/loop.h"

namespace bitaxon::jinja {

/// A scope while it runs. A scope that something called later refers to stays until the end.
class Interpreter::Entered {
 public:
  Entered(Interpreter& interpreter, const Scope& scope, Env* parent) : env_(&local_) {
    if (scope.is_kept) {
      interpreter.kept_.push_back(std::make_unique<Env>());
      env_ = interpreter.kept_.back().get();
    }
    env_->parent = parent;
    env_->slots.resize(scope.loads.size());
    env_->charge = Charge(sizeof(Env) + env_->slots.size() * sizeof(std::optional<Value>));
    interpreter.load(scope, *env_);
  }
  Env& env() { return *env_; }

 private:
  Env local_;
  Env* env_;
};

/// Sends the output into a text of its own.
class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& interpreter) : interpreter_(interpreter), outer_(interpreter.out_) {
    interpreter.out_ = &text_;
  }
  ~Capture() { interpreter_.out_ = outer_; }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  Value finish() { return Value(text_.finish()); }

 private:
  Interpreter& interpreter_;
  TextBuilder* outer_;
  TextBuilder text_;
};

/// Ends a loop. A loop object that something still refers to is cleared with the interpreter.
class Interpreter::LoopGuard {
 public:
  LoopGuard(Interpreter& interpreter, std::shared_ptr<Loop>& loop, std::optional<Value>& slot,
            bool closes)
      : interpreter_(interpreter), loop_(loop), slot_(slot), closes_(closes) {}
  ~LoopGuard() {
    slot_.reset();
    if (loop_.use_count() == 1) return;
    if (closes_) loop_->close();
    interpreter_.loops_.push_back(loop_);
  }
  LoopGuard(const LoopGuard&) = delete;
  LoopGuard& operator=(const LoopGuard&) = delete;

 private:
  Interpreter& interpreter_;
  std::shared_ptr<Loop>& loop_;
  std::optional<Value>& slot_;
  bool closes_;
};

}  // namespace bitaxon::jinja
