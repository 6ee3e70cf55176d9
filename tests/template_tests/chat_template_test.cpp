// The rules by which a conversation reaches a template, and what a rendering knows about its text.
#include "bitaxon/chat_template.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bitaxon::test {
namespace {

ChatText render(const std::string& source, const std::string& messages,
                ChatTemplateInput input = {}) {
  input.messages = messages;
  return JinjaTemplate::parse(source).render(input);
}

std::string message_of(const std::string& source, const std::string& messages,
                       const ChatTemplateInput& input = {}) {
  try {
    return "text: " + render(source, messages, input).text;
  } catch (const Error& error) {
    return error.what();
  }
}

constexpr const char* kHello = R"([{"role": "user", "content": "Hello"}])";

/// The parts of the text that come from the input.
std::vector<std::string> input_of(const ChatText& rendered) {
  std::vector<std::string> parts;
  for (const TextRange& range : rendered.input)
    parts.push_back(rendered.text.substr(range.begin, range.end - range.begin));
  return parts;
}

using Parts = std::vector<std::string>;

TEST(ChatTemplate, RendersChatml) {
  ChatTemplateInput input;
  input.messages = kHello;
  const ChatText text = JinjaTemplate::chatml().render(input);
  EXPECT_EQ(text.text, "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(input_of(text), (Parts{"user", "Hello"}));
  input.add_generation_prompt = false;
  EXPECT_EQ(JinjaTemplate::chatml().render(input).text, "<|im_start|>user\nHello<|im_end|>\n");
}

TEST(ChatTemplate, RefusesAConversationWithoutMessages) {
  for (const std::string messages : {"[]", "{}", "null", "5"})
    EXPECT_EQ(message_of("x", messages),
              "messages: expected a list with at least one message, got " + messages);
  EXPECT_EQ(message_of("x", "[{}, 1]"), "messages: message 1: expected an object, got 1");
  EXPECT_EQ(message_of("x", "[{}, 1"), "messages: at byte 6: not JSON");
  EXPECT_EQ(message_of("x", " \n"), "messages: expected JSON, got an empty text");
}

TEST(ChatTemplate, NamesItsInputAsTheCallerDoes) {
  ChatTemplateInput input;
  input.names = {"m.json", "t.json", "d.json"};
  EXPECT_EQ(message_of("x", "[\"\\ud800\"]", input), "m.json: at byte 8: not JSON");
  input.tools = "7";
  EXPECT_EQ(message_of("x", kHello, input), "t.json: expected a list, got 7");
  input.tools = "";
  input.documents = "{\"a\": 1}";
  EXPECT_EQ(message_of("x", kHello, input), "d.json: expected a list, got {\"a\": 1}");
}

TEST(ChatTemplate, KnowsWhichVariablesItMentions) {
  const JinjaTemplate some = JinjaTemplate::parse(
      "{% macro m() %}{{ 1 if a }}{% endmacro %}{% if b is defined %}{{ m() }}{% endif %} c");
  EXPECT_TRUE(some.uses("a"));
  EXPECT_TRUE(some.uses("b"));
  EXPECT_FALSE(some.uses("c"));
}

TEST(ChatTemplate, RemovesKeysThatAreNull) {
  EXPECT_EQ(render("{{ messages[0] }}", R"([{"role": "user", "content": null, "n": [null]}])").text,
            "{'role': 'user', 'n': [None]}");
}

TEST(ChatTemplate, KnowsThreeNamesOfTheReasoning) {
  const std::string source = "{{ messages[0].reasoning_content }}|{{ messages[0].thinking }}";
  EXPECT_EQ(render(source, R"([{"reasoning": "r"}])").text, "r|r");
  EXPECT_EQ(render(source, R"([{"thinking": "t", "reasoning": "r"}])").text, "t|t");
  EXPECT_EQ(render(source, R"([{"reasoning_content": "c", "thinking": "t"}])").text, "c|t");
  EXPECT_EQ(render(source, R"([{"role": "user"}])").text, "|");
}

TEST(ChatTemplate, KeepsIntegersOfAnySize) {
  EXPECT_EQ(render("{{ messages[0].n }} {{ messages[0].n + 1 }} {{ messages | tojson }}",
                   R"([{"n": 123456789012345678901234567890}])")
                .text,
            "123456789012345678901234567890 123456789012345678901234567891 "
            "[{\"n\": 123456789012345678901234567890}]");
}

TEST(ChatTemplate, TakesTheLastOfEqualKeys) {
  EXPECT_EQ(render("{{ messages[0] }}", R"([{"a": 1, "b": 2, "a": 3}])").text, "{'a': 3, 'b': 2}");
}

TEST(ChatTemplate, AlwaysDefinesToolsAndDocuments) {
  const std::string source = "{{ tools }} {{ documents }} {{ bos_token is defined }}";
  EXPECT_EQ(render(source, kHello).text, "None None False");
  ChatTemplateInput input;
  input.tools = "[]";
  input.documents = R"([{"title": "t"}])";
  EXPECT_EQ(render(source, kHello, input).text, "[] [{'title': 't'}] False");
  input.tools = "{}";
  EXPECT_EQ(message_of(source, kHello, input), "tools: expected a list, got {}");
}

TEST(ChatTemplate, SeesVariables) {
  ChatTemplateInput input;
  input.variables = {{"enable_thinking", "false"}, {"n", "1e3"}};
  EXPECT_EQ(render("{{ enable_thinking }} {{ n }}", kHello, input).text, "False 1000.0");
  input.variables = {{"n", "{"}};
  EXPECT_EQ(message_of("x", kHello, input), "n: at byte 1: not JSON");
}

TEST(ChatTemplate, ReportsARefusalInTheTemplatesOwnWords) {
  ChatTemplateInput input;
  input.messages = kHello;
  const JinjaTemplate refuses =
      JinjaTemplate::parse("{{ raise_exception('no ' ~ messages[0].role) }}");
  try {
    refuses.render(input);
    FAIL() << "expected a refusal";
  } catch (const ChatTemplateRefusal& refusal) {
    EXPECT_STREQ(refusal.what(), "no user");
    EXPECT_EQ(refusal.kind(), ErrorKind::invalid_argument);
  }
}

TEST(ChatTemplate, NamesTheLineOfAFault) {
  EXPECT_EQ(message_of("a\n{{ x.y }}", kHello), "chat template: line 2: 'x' is undefined");
  EXPECT_EQ(message_of("a\n\n{% if %}", kHello),
            "chat template: line 3: Expected an expression, got 'end of statement block'");
  EXPECT_EQ(message_of("{{ 1 / 0 }}", kHello), "chat template: line 1: division by zero");
  EXPECT_EQ(message_of("\xff", kHello), "chat template: expected a template in UTF-8");
}

TEST(ChatTemplate, IsExactInCorners) {
  // The results of Jinja 3.1.6.
  for (const auto& [source, text] : {std::pair{"{{ ('<'|safe)|list }}", "['<']"},
                                     {"{{ [('ab'|safe)|first] }}", "['a']"},
                                     {"{{ [('ab'|safe)|last] }}", "[Markup('b')]"},
                                     {"{{ [('ab'|safe)[0]] }}", "[Markup('a')]"},
                                     {"{{ ''|last }}", ""},
                                     {"{{ '{!a}'.format('<'|safe) }}", "Markup('<')"},
                                     {"{{ '%a' % ('<'|safe) }}", "Markup('<')"},
                                     {"{{ '%%' % range(4) }}", "%"},
                                     {"{{ [1]|truncate(5) }}", "[1]"},
                                     {"{{ {'a': 1}|truncate(5) }}", "{'a': 1}"},
                                     {"{{ range(3)|truncate(5) }}", "range(0, 3)"}})
    EXPECT_EQ(render(source, kHello).text, text) << source;
  for (const char* source :
       {"{{ [1]|truncate(2) }}", "{{ 5|truncate(5) }}", "{{ range(20)|truncate(5) }}",
        "{{ '{:,}'.format('x') }}", "{{ '{:_s}'.format('x') }}",
        "{% block a %}{% endblock %}{% block a %}{% endblock %}"})
    EXPECT_TRUE(message_of(source, kHello).starts_with("chat template: line 1: ")) << source;
}

TEST(ChatTemplate, UsesTheGivenClock) {
  ChatTemplateInput input;
  std::tm noon{};
  noon.tm_year = 126;
  noon.tm_mon = 2;
  noon.tm_mday = 5;
  noon.tm_hour = 12;
  input.now = noon;
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y %H:%M%%') }}", kHello, input).text,
            "05 Mar 2026 12:00%");
}

TEST(ChatTemplate, KeepsTrackOfInputThroughStringMethods) {
  const char* messages = R"([{"role": "user", "content": " a<b>c ", "l": ["x", "y"],
                               "t": "a\tb%%"}])";
  const auto parts = [&](const std::string& expression) {
    return input_of(
        render("{% set c = messages[0].content %}[{{ " + expression + " }}]", messages));
  };
  EXPECT_EQ(parts("c"), Parts{" a<b>c "});
  EXPECT_EQ(parts("'<' ~ c ~ '>' ~ c"), (Parts{" a<b>c ", " a<b>c "}));
  EXPECT_EQ(parts("'<' + c.strip() + '>'"), Parts{"a<b>c"});
  EXPECT_EQ(parts("c | trim | upper"), Parts{"A<B>C"});
  EXPECT_EQ(parts("c.split('<')[1]"), Parts{"b>c "});
  EXPECT_EQ(parts("c[1:3]"), Parts{"a<"});
  EXPECT_EQ(parts("c.replace('b', 'B')"), Parts{" a<B>c "});
  EXPECT_EQ(parts("c | replace('', '|')"), Parts{"| |a|<|b|>|c| |"});
  EXPECT_EQ(parts("('<b>' ~ c).replace('b', 'B')"), Parts{" a<B>c "});
  EXPECT_EQ(parts("'<x>'.replace('x', c.strip())"), Parts{"a<b>c"});
  EXPECT_EQ(parts("c | e"), Parts{" a&lt;b&gt;c "});
  EXPECT_EQ(parts("('&lt;%s' % c) | striptags"), Parts{"< ac"});
  EXPECT_EQ(parts("c | urlencode"), Parts{"%20a%3Cb%3Ec%20"});
  EXPECT_EQ(parts("messages[0].t.expandtabs(2)"), Parts{"a b%%"});
  EXPECT_EQ(parts("messages[0].t % ()"), Parts{"a\tb%"});
  EXPECT_EQ(parts("strftime_now(messages[0].t)"), Parts{"a\tb%"});
  EXPECT_EQ(parts("{'k': c}.values()"), Parts{"' a<b>c '"});
  EXPECT_EQ(parts("namespace(k=c)"), Parts{"' a<b>c '"});
  EXPECT_EQ(parts("'%s-%s' % (c, 1)"), Parts{" a<b>c "});
  EXPECT_EQ(parts("'{}!'.format(c)"), Parts{" a<b>c "});
  EXPECT_EQ(parts("messages[0].l | join('<')"), (Parts{"x", "y"}));
  EXPECT_EQ(parts("messages[0].l | tojson"), (Parts{"\"x\"", "\"y\""}));
  EXPECT_EQ(parts("{'user': '<u>'}[messages[0].role]"), Parts{});
  EXPECT_EQ(parts("messages | length"), Parts{});
}

TEST(ChatTemplate, KeepsTrackOfInputThroughMacrosAndBlocks) {
  const std::string source =
      "{% macro m(x) %}<{{ x }}>{% endmacro %}{% set s %}({{ messages[0].content }}){% endset %}"
      "{{ m(s) }}";
  const ChatText text = render(source, kHello);
  EXPECT_EQ(text.text, "<(Hello)>");
  EXPECT_EQ(input_of(text), Parts{"Hello"});
}

TEST(ChatTemplate, TakesTheTwoTokensAsItsOwnText) {
  ChatTemplateInput input;
  input.variables = {{"bos_token", "\"<s>\""}, {"other", "\"<o>\""}};
  const ChatText text = render("{{ bos_token }}{{ other }}", kHello, input);
  EXPECT_EQ(text.text, "<s><o>");
  EXPECT_EQ(input_of(text), Parts{"<o>"});
}

}  // namespace
}  // namespace bitaxon::test
