"""Renders chat templates with Jinja itself, set up as transformers sets it up."""
import datetime
import json

import jinja2
import jinja2.ext
import jinja2.sandbox


class Generation(jinja2.ext.Extension):
    """{% generation %} blocks, which print their body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_render")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def environment(now):
    result = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = now.strftime
    return result


def prepared(message):
    """A message without null values; the names of the reasoning are filled in."""
    message = {key: value for key, value in message.items() if value is not None}
    for name in ("reasoning_content", "thinking", "reasoning"):
        if name in message:
            message.setdefault("reasoning_content", message[name])
            message.setdefault("thinking", message[name])
            break
    return message


def render(template, conversation, tokens, now=datetime.datetime(2026, 3, 5, 14, 7, 9)):
    """The text, or the error, of one conversation: {"text"} or {"error", "raised"}."""
    names = dict(tokens)
    names.update(conversation.get("variables", {}))
    names.update(messages=[prepared(m) for m in conversation["messages"]],
                 tools=conversation.get("tools"), documents=conversation.get("documents"),
                 add_generation_prompt=conversation.get("add_generation_prompt", True))
    try:
        return {"text": environment(now).from_string(template).render(**names)}
    except Exception as error:  # the original fails with many types
        raised = type(error) is jinja2.exceptions.TemplateError
        return {"error": str(error), "error_type": type(error).__name__, "raised": raised}
