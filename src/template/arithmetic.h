// The operators of the template language.
#pragma once

#include "template/value.h"

namespace bitaxon::jinja {

enum class BinaryOp { add, subtract, multiply, divide, floor_divide, modulo, power };

/// Python's a op b. Throws Fault for values that do not support it.
Value binary(BinaryOp op, const Value& a, const Value& b);
Value negated(const Value& value);
/// Python's +value.
Value plus(const Value& value);

/// The text repeated `count` times.
TextRef repeated(const Text& text, std::int64_t count);

}  // namespace bitaxon::jinja
