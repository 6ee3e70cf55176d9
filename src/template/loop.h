// The variable `loop` of a for statement.
#pragma once

#include "template/interpreter.h"

namespace bitaxon::jinja {

class Loop : public Object, public std::enable_shared_from_this<Loop> {
 public:
  Loop(Value iterable, std::shared_ptr<Iterator> iterator, int depth0);
  std::string type_name() const override { return "LoopContext"; }
  TextRef repr() const override;
  std::optional<Value> attribute(std::string_view name) override;
  bool is_callable() const override { return true; }
  Value call(Interpreter& interpreter, const Arguments& arguments) override;
  std::optional<std::int64_t> length() override;

  /// Moves to the next item. Empty at the end.
  std::optional<Value> advance();
  /// Lets `loop(items)` run the statement again.
  void allow_recursion(const Statement& statement, Env& outer);
  /// Ends the loop: no item follows.
  void close();
  /// Forgets all values, which may refer to the loop itself.
  void clear();
  /// loop.cycle(...) and loop.changed(...)
  Value cycle(const Arguments& arguments) const;
  Value changed(const Arguments& arguments);

 private:
  bool is_last();

  Value iterable_;
  std::shared_ptr<Iterator> iterator_;
  int depth0_;
  std::int64_t index0_ = -1;
  std::optional<std::int64_t> length_;
  std::optional<Value> before_, current_, after_, last_changed_;
  const Statement* recursive_ = nullptr;
  Env* outer_ = nullptr;
};

}  // namespace bitaxon::jinja
