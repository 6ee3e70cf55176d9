// Templates that try to hang, crash or fill the memory end with one line.
#include <gtest/gtest.h>

#include <string>

#include "bitaxon/chat_template.h"

namespace bitaxon::test {
namespace {

/// Small limits, so that the tests are quick.
constexpr ChatTemplateLimits kLimits{.max_steps = 200'000,
                                     .max_memory_bytes = std::size_t{8} << 20,
                                     .max_output_bytes = std::size_t{1} << 20};

/// The error of a template. Empty if it has none.
std::string fault_of(const std::string& source) {
  ChatTemplateInput input;
  input.messages = R"([{"role": "user", "content": "hi"}])";
  input.limits = kLimits;
  try {
    JinjaTemplate::parse(source).render(input);
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "";
}

std::string repeated(const std::string& text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

void expect_fault(const std::string& source, const std::string& part) {
  const std::string fault = fault_of(source);
  EXPECT_NE(fault.find(part), std::string::npos) << source.substr(0, 200) << "\n  " << fault;
}

TEST(HostileTemplate, CannotNestWithoutLimit) {
  for (const auto& [open, close] : {std::pair<const char*, const char*>{"(", ")"},
                                    {"[", "]"},
                                    {"{1: ", "}"},
                                    {"not ", ""},
                                    {"-", ""},
                                    {"1 if 0 else ", ""}})
    expect_fault("{{ " + repeated(open, 5000) + "1" + repeated(close, 5000) + " }}",
                 "nested too deep");
  for (const char* chain : {"+1", "|string", ".x", "()", "[0]", " if 1", " is none"})
    expect_fault("{{ 1" + repeated(chain, 5000) + " }}", "");
  expect_fault("{{ 1" + repeated(" + 1", 5000) + " }}", "nested too deep");
  expect_fault(repeated("{% if 1 %}", 5000) + repeated("{% endif %}", 5000), "nested too deep");
}

TEST(HostileTemplate, CannotRecurseWithoutLimit) {
  for (const char* source :
       {"{% macro m(x) %}{{ m(x + 1) }}{% endmacro %}{{ m(1) }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% macro m() %}{{ [1] | map('string') | join }}{% for x in [1] %}{{ m() }}{% endfor %}"
        "{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ caller() }}{% endmacro %}{% macro m() %}{% call a() %}{{ m() }}"
        "{% endcall %}{% endmacro %}{{ m() }}"})
    expect_fault(source, "levels of nesting");
}

TEST(HostileTemplate, CannotRunWithoutEnd) {
  expect_fault("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
               "steps");
  expect_fault("{% for i in range(10**9) %}x{% endfor %}", "Range too big");
  expect_fault("{{ ('a' * 100000).rsplit('a', 90000) | length }}", "");
}

TEST(HostileTemplate, CannotFillTheMemory) {
  for (const char* source :
       {"{{ 'x' * 10**9 }}", "{{ [1] * 10**9 }}", "{{ 'a'.center(10**7) }}",
        "{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor "
        "%}",
        "{{ ('a' * 10000).replace('a', 'b' * 10000) }}", "{{ '%9999999d' % 1 }}",
        "{{ '{:9999999}'.format(1) }}", "{{ [[1]] | tojson(indent=9999999) }}",
        "{{ 'a\\nb' | indent(9999999) }}", "{{ [1] | batch(99999999, 1) | list }}",
        "{{ ('\\t' * 1000).expandtabs(100000) }}"})
    expect_fault(source, "bytes of values");
  // Either limit may be the first, because long texts take steps too.
  expect_fault("{% macro m() %}{{ 'x' * 1000 * 1000 }}{{ m() }}{% endmacro %}{{ m() }}",
               "expected at most");
  expect_fault("{{ 'x' * 10**30 }}", "too often");
  expect_fault("{{ '%1000000000d' % 1 }}", "expected a width of at most");
  expect_fault("{{ '{:1000000000}'.format(1) }}", "expected a width of at most");
  expect_fault("{{ 2 ** 100000 }}", "16384 bits");
  expect_fault("{{ strftime_now('%1000000d') }}", "too long");
}

TEST(HostileTemplate, CannotPrintWithoutLimit) {
  expect_fault("{% set s = 'x' * 1000 %}{% for i in range(2000) %}{{ s }}{% endfor %}",
               "bytes of output");
}

TEST(HostileTemplate, CannotBuildDeepValues) {
  for (const char* step : {"[n.x]", "{'a': n.x}", "(n.x,)", "n.x | map('string')", "joiner(n.x)",
                           "cycler(n.x)", "{'a': n.x}.get"})
    expect_fault("{% set n = namespace(x=[]) %}{% for i in range(1000) %}{% set n.x = " +
                     std::string(step) + " %}{% endfor %}",
                 "lists in each other");
}

TEST(HostileTemplate, MayMakeCycles) {
  EXPECT_EQ(fault_of("{% set n = namespace() %}{% set n.n = n %}{% set n.l = [n] %}ok"), "");
  expect_fault("{% set n = namespace() %}{% set n.n = n %}{{ n }}", "levels of nesting");
  expect_fault("{% set n = namespace() %}{% set n.l = [n] %}{{ n.l | tojson }}",
               "not JSON serializable");
  EXPECT_EQ(fault_of("{% set n = namespace(x=0) %}{% for i in range(5000) %}"
                     "{% set n.x = namespace(y=n.x) %}{% endfor %}"),
            "");
  EXPECT_EQ(fault_of("{% set n = namespace(x=0) %}{% for i in range(500) %}{% for j in [1] %}"
                     "{% if loop.changed([n.x]) %}{% set n.x = loop %}{% endif %}{% endfor %}"
                     "{% endfor %}"),
            "");
}

TEST(HostileTemplate, MayUseWhatOutlivesItsScope) {
  EXPECT_EQ(fault_of("{% set n = namespace() %}{% for x in [1, 2, 3] if x %}{% set n.l = loop %}"
                     "{% break %}{% endfor %}{{ n.l.last }}{{ n.l.nextitem }}{{ n.l.length }}"),
            "");
  EXPECT_EQ(fault_of("{% set n = namespace() %}{% for x in [1] %}{% macro m() %}{{ x }}"
                     "{% endmacro %}{% set n.m = m %}{% endfor %}{{ n.m() }}"),
            "");
  EXPECT_EQ(fault_of("{% set n = namespace() %}{% for x in [1] recursive %}{% set n.l = loop %}"
                     "{% endfor %}{{ n.l([]) }}"),
            "");
  EXPECT_EQ(fault_of("{% set n = namespace() %}{% macro m() %}{% set n.c = caller %}{% endmacro %}"
                     "{% for q in [7] %}{% call m() %}{{ q }}{% endcall %}{% endfor %}{{ n.c() }}"),
            "");
}

TEST(HostileTemplate, ReachesNothingButItsData) {
  for (const char* source :
       {"{{ ''.__class__.__mro__ }}", "{{ messages.append(1) }}", "{{ messages[0].update(a=1) }}",
        "{{ ''['__class__']['x'] }}", "{{ '{0.__class__.x}'.format(1) }}",
        "{{ (messages | attr('__class__')).x }}", "{{ messages.sort() }}",
        "{{ raise_exception.__globals__.x }}", "{% include 'x' %}"})
    EXPECT_NE(fault_of(source), "") << source;
}

}  // namespace
}  // namespace bitaxon::test
