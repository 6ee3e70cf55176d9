// A parsed template.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "template/arithmetic.h"
#include "template/value.h"

namespace bitaxon::jinja {

struct Expression;
using ExpressionRef = std::unique_ptr<Expression>;
struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

/// The place of a name: how many scopes up, and which slot there.
struct Slot {
  int up = 0;
  int index = -1;
};

struct CallArguments {
  std::vector<ExpressionRef> positional;
  std::vector<std::pair<std::string, ExpressionRef>> named;
  ExpressionRef more_positional;  ///< *list
  ExpressionRef more_named;       ///< **mapping
};

struct Expression {
  enum class Kind {
    constant,     ///< value
    name,         ///< name, slot
    attribute,    ///< parts[0].name
    item,         ///< parts[0][parts[1]]
    slice,        ///< parts[0][parts[1]:parts[2]:parts[3]]; missing bounds are null
    list,         ///< parts
    tuple,        ///< parts
    mapping,      ///< parts: key, value, key, value...
    call,         ///< parts[0](arguments)
    filter,       ///< parts[0]|name(arguments); parts[0] is null in filter blocks
    test,         ///< parts[0] is name(arguments)
    binary,       ///< parts[0] op parts[1]
    negate,       ///< -parts[0]
    plus,         ///< +parts[0]
    logical_not,  ///< not parts[0]
    logical_and,
    logical_or,
    concat,               ///< parts joined by ~
    compare,              ///< parts[0] comparisons[0] parts[1] comparisons[1] parts[2]...
    conditional,          ///< parts[1] if parts[0] else parts[2]; parts[2] may be null
    namespace_attribute,  ///< the target of an assignment: name.attribute_name
  };
  enum class Comparison { eq, ne, lt, le, gt, ge, in, not_in };

  Kind kind = Kind::constant;
  int line = 0;
  int height = 1;  ///< the number of expressions in each other
  std::string name;
  std::string attribute_name;
  Value value;
  BinaryOp op = BinaryOp::add;
  std::vector<ExpressionRef> parts;
  std::vector<Comparison> comparisons;
  CallArguments arguments;
  Slot slot;
};

/// What a scope does with one of its slots when it is entered.
struct SlotLoad {
  enum class Kind {
    parameter,  ///< set by the statement that owns the scope
    undefined,  ///< not set until it is assigned
    alias,      ///< a copy of an outer slot
    context,    ///< a name that was given to the rendering, or a global
  };
  Kind kind = Kind::undefined;
  std::string name;
  Slot outer;
};

/// The names of one scope: of the template, a loop, a macro...
struct Scope {
  std::vector<SlotLoad> loads;
  /// Whether something that is called later refers to the scope, so that it must stay.
  bool is_kept = false;
};

struct Parameter {
  std::string name;
  ExpressionRef fallback;  ///< null if the parameter has no default
  int slot = -1;
};

/// The body of a macro or of a call block.
struct MacroBody {
  std::string name;
  std::vector<Parameter> parameters;
  Block body;
  Scope scope;
  int caller_slot = -1, named_slot = -1, positional_slot = -1;  ///< -1: not used by the body
};

struct Statement {
  enum class Kind {
    text,       ///< text
    print,      ///< expressions
    set,        ///< target = expression
    set_block,  ///< target = the text of body, through filter
    if_else,    ///< branches, otherwise
    loop,
    macro,
    call,        ///< calls expression with macro as its caller
    generation,  ///< prints its body, which is a scope of its own
    filter,      ///< the text of body, through filter
    with,        ///< targets, expressions, body
    block,       ///< body in a scope without outer names
    scope,       ///< body in an inner scope
    include,     ///< fails when it runs
    break_loop,
    continue_loop,
  };
  struct Branch {
    ExpressionRef test;
    Block body;
  };

  Kind kind = Kind::text;
  int line = 0;
  Value text;
  std::vector<ExpressionRef> expressions;
  ExpressionRef target;
  std::vector<ExpressionRef> targets;
  ExpressionRef filter;
  std::vector<Branch> branches;
  Block body, otherwise;
  ExpressionRef loop_test;
  bool is_recursive = false;
  std::unique_ptr<MacroBody> macro;
  Scope scope, test_scope, otherwise_scope;
  int loop_slot = -1;
};

struct Program {
  Block body;
  Scope scope;
  std::set<std::string, std::less<>> names;  ///< all names in its expressions and tags
};

/// Parses a template. Throws Fault with the line.
Program parse_program(std::string_view source);
/// Finds the slots of all names, and refuses what the original refuses before it prints anything.
void resolve_names(Program& program);

}  // namespace bitaxon::jinja
