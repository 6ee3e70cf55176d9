// The filters and tests of the template language.
#pragma once

#include <string_view>
#include <unordered_map>

#include "template/arguments.h"
#include "template/value.h"

namespace bitaxon::jinja {

/// The value that a filter is applied to is the first positional argument.
using Filter = Value (*)(Interpreter& interpreter, const Arguments& arguments);
using FilterTable = std::unordered_map<std::string_view, Filter>;

bool is_filter(std::string_view name);
bool is_test(std::string_view name);
/// Throws Fault for an unknown name.
Value apply_filter(Interpreter& interpreter, std::string_view name, const Arguments& arguments);
bool apply_test(Interpreter& interpreter, std::string_view name, const Arguments& arguments);

/// The parts of the table of filters.
void add_text_filters(FilterTable& table);
void add_number_filters(FilterTable& table);
void add_sequence_filters(FilterTable& table);
void add_sorting_filters(FilterTable& table);
void add_selecting_filters(FilterTable& table);

/// value.a.0.b for attribute "a.0.b"; an integer attribute is an index.
Value dotted_attribute(const Value& value, const Value& attribute);
/// A text in lower case; other values unchanged.
Value ignoring_case(const Value& value);

}  // namespace bitaxon::jinja
