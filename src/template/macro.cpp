// Calls of macros.
#include <fmt/format.h>

#include <algorithm>

#include "template/frames.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

/// The place of a named argument; -1 if it is not given.
std::ptrdiff_t named_place(const Arguments& arguments, std::string_view name) {
  for (std::size_t i = 0; i < arguments.named.size(); ++i)
    if (arguments.named[i].first == name) return static_cast<std::ptrdiff_t>(i);
  return -1;
}

/// Takes a named argument out of `arguments`.
std::optional<Value> take_named(Arguments& arguments, std::string_view name) {
  const std::ptrdiff_t place = named_place(arguments, name);
  if (place < 0) return std::nullopt;
  std::optional<Value> value(std::move(arguments.named[static_cast<std::size_t>(place)].second));
  arguments.named.erase(arguments.named.begin() + place);
  return value;
}

/// Fills the slots of a macro with the arguments that are given.
class MacroArguments {
 public:
  MacroArguments(const MacroBody& macro, Arguments arguments, Env& env)
      : macro_(macro), arguments_(std::move(arguments)), env_(env) {}

  void fill() {
    const std::size_t count = macro_.parameters.size();
    const std::size_t given = std::min(count, arguments_.positional.size());
    for (std::size_t i = 0; i < given; ++i)
      set(macro_.parameters[i].slot, arguments_.positional[i]);
    bool has_caller = given == count && has_parameter("caller");
    for (std::size_t i = given; i < count; ++i) {
      if (macro_.parameters[i].name == "caller") has_caller = true;
      if (std::optional<Value> value = take_named(arguments_, macro_.parameters[i].name))
        set(macro_.parameters[i].slot, *std::move(value));
    }
    if (macro_.caller_slot >= 0 && !has_caller)
      set(macro_.caller_slot,
          take_named(arguments_, "caller").value_or(Value::undefined("No caller defined")));
    fill_rest();
  }

 private:
  void set(int slot, Value value) { env_.slots[static_cast<std::size_t>(slot)] = std::move(value); }

  bool has_parameter(std::string_view name) const {
    return std::any_of(macro_.parameters.begin(), macro_.parameters.end(),
                       [&](const Parameter& parameter) { return parameter.name == name; });
  }

  void fill_rest() {
    if (macro_.named_slot >= 0) {
      Mapping::Entries entries;
      for (auto& [name, value] : arguments_.named)
        entries.emplace_back(Value::text(name), std::move(value));
      set(macro_.named_slot, make_mapping(std::move(entries)));
    } else if (!arguments_.named.empty()) {
      throw Fault(fmt::format("macro {} takes no keyword argument {}", quoted_text(macro_.name),
                              quoted_text(arguments_.named[0].first)));
    }
    const std::size_t count = macro_.parameters.size();
    if (macro_.positional_slot >= 0) {
      std::vector<Value> rest;
      for (std::size_t i = count; i < arguments_.positional.size(); ++i)
        rest.push_back(arguments_.positional[i]);
      set(macro_.positional_slot, Value::tuple(std::move(rest)));
    } else if (arguments_.positional.size() > count) {
      throw Fault(fmt::format("macro {} takes not more than {} argument(s)",
                              quoted_text(macro_.name), count));
    }
  }

  const MacroBody& macro_;
  Arguments arguments_;
  Env& env_;
};

}  // namespace

TextRef Macro::repr() const {
  return make_text(body_.name.empty() ? "<Macro anonymous>"
                                      : fmt::format("<Macro {}>", quoted_text(body_.name)));
}

std::optional<Value> Macro::attribute(std::string_view name) {
  if (name == "name") return body_.name.empty() ? Value(None{}) : Value::text(body_.name);
  if (name == "caller") return body_.caller_slot >= 0;
  if (name == "catch_kwargs") return body_.named_slot >= 0;
  if (name == "catch_varargs") return body_.positional_slot >= 0;
  if (name != "arguments") return std::nullopt;
  std::vector<Value> names;
  for (const Parameter& parameter : body_.parameters) names.push_back(Value::text(parameter.name));
  return Value::tuple(std::move(names));
}

Value Interpreter::invoke(const MacroBody& macro, Env& outer, const Arguments& arguments) {
  Entered inner(*this, macro.scope, &outer);
  Env& env = inner.env();
  MacroArguments(macro, arguments, env).fill();
  Capture capture(*this);
  for (const Parameter& parameter : macro.parameters) {
    std::optional<Value>& slot = env.slots[static_cast<std::size_t>(parameter.slot)];
    if (slot) continue;
    if (parameter.fallback)
      slot = evaluate(*parameter.fallback, env);
    else
      slot = Value::undefined(
          fmt::format("parameter {} was not provided", quoted_text(parameter.name)));
  }
  run(macro.body, env);
  return capture.finish();
}

}  // namespace bitaxon::jinja
