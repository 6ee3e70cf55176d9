// Renders conversations by the rules of transformers' apply_chat_template.
#include "bitaxon/chat_template.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <map>

#include "platform/printable.h"
#include "template/chat_template_impl.h"
#include "template/interpreter.h"
#include "template/json_values.h"

namespace bitaxon {
namespace {

using jinja::Fault;
using jinja::InputFault;
using jinja::Kind;
using jinja::Mapping;
using jinja::Value;
using Variables = std::map<std::string, Value, std::less<>>;

constexpr std::size_t kMaxTemplateBytes = std::size_t{4} << 20;

constexpr std::string_view kChatml =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

bool is_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  utf8proc_int32_t code_point = 0;
  for (std::size_t at = 0; at < text.size();) {
    const utf8proc_ssize_t size =
        utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
    if (size <= 0) return false;
    at += static_cast<std::size_t>(size);
  }
  return true;
}

/// A JSON value in a message.
std::string brief(const Value& value) {
  return printable(jinja::write_json(value, {})->bytes(), 60);
}

/// A message without keys that are null. reasoning_content, thinking and reasoning are names of the
/// same thing.
Value prepared_message(const Value& message) {
  Mapping::Entries entries;
  for (const auto& entry : message.as_mapping().entries)
    if (!entry.second.is_none()) entries.push_back(entry);
  const auto find = [&](std::string_view name) -> const Value* {
    for (const auto& [key, value] : entries)
      if (key.as_text().view() == name) return &value;
    return nullptr;
  };
  for (const std::string_view name : {"reasoning_content", "thinking", "reasoning"}) {
    const Value* found = find(name);
    if (!found) continue;
    const Value reasoning = *found;
    if (!find("reasoning_content"))
      entries.emplace_back(Value::text("reasoning_content"), reasoning);
    if (!find("thinking")) entries.emplace_back(Value::text("thinking"), reasoning);
    break;
  }
  return jinja::make_mapping(std::move(entries));
}

Value prepared_messages(std::string_view json, const std::string& name) {
  const Value messages = jinja::read_json(json, name, true);
  if (!messages.is(Kind::sequence) || messages.as_sequence().items.empty())
    throw InputFault(fmt::format("{}: expected a list with at least one message, got {}", name,
                                 brief(messages)));
  std::vector<Value> prepared;
  for (const Value& message : messages.as_sequence().items) {
    if (!message.is(Kind::mapping))
      throw InputFault(fmt::format("{}: message {}: expected an object, got {}", name,
                                   prepared.size(), brief(message)));
    prepared.push_back(prepared_message(message));
  }
  return Value::list(std::move(prepared));
}

Value optional_list(std::string_view json, const std::string& name) {
  if (json.empty()) return jinja::None{};
  Value list = jinja::read_json(json, name, true);
  if (!list.is(Kind::sequence) && !list.is_none())
    throw InputFault(fmt::format("{}: expected a list, got {}", name, brief(list)));
  return list;
}

Variables variables_of(const ChatTemplateInput& input, const JinjaTemplate::Impl& impl) {
  Variables variables;
  if (impl.bos) variables.insert_or_assign("bos_token", Value::text(*impl.bos));
  if (impl.eos) variables.insert_or_assign("eos_token", Value::text(*impl.eos));
  for (const auto& [name, json] : input.variables) {
    // The two tokens are the template's own text, whoever names them.
    const bool is_token = name == "bos_token" || name == "eos_token";
    variables.insert_or_assign(name, jinja::read_json(json, name, !is_token));
  }
  variables.insert_or_assign("messages", prepared_messages(input.messages, input.names.messages));
  variables.insert_or_assign("tools", optional_list(input.tools, input.names.tools));
  variables.insert_or_assign("documents", optional_list(input.documents, input.names.documents));
  variables.insert_or_assign("add_generation_prompt", Value(input.add_generation_prompt));
  return variables;
}

/// The names of the templates, for a message.
std::string names_of(const std::vector<NamedTemplate>& templates) {
  std::string names;
  for (const NamedTemplate& one : templates)
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", printable(one.name));
  return names;
}

const NamedTemplate& chosen(const JinjaTemplate::Impl& impl, const ChatTemplateInput& input,
                            bool has_tools) {
  const auto find = [&](std::string_view name) -> const NamedTemplate* {
    const auto found = std::ranges::find(*impl.templates, name, &NamedTemplate::name);
    return found == impl.templates->end() ? nullptr : &*found;
  };
  const NamedTemplate* named = nullptr;
  if (!input.name.empty()) {
    named = find(input.name);
  } else {
    if (has_tools) named = find("tool_use");
    if (!named) named = find("default");
  }
  if (!named)
    throw Fault(fmt::format("expected a chat template named \"{}\", got {}",
                            input.name.empty() ? "default" : printable(input.name),
                            names_of(*impl.templates)));
  if (!named->fault.empty()) throw Fault(named->fault);
  return *named;
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm result{};
  localtime_r(&now, &result);
  return result;
}

ChatText rendered(const JinjaTemplate::Impl& impl, const ChatTemplateInput& input) {
  Variables variables = variables_of(input, impl);
  const NamedTemplate& named = chosen(impl, input, !variables.at("tools").is_none());
  jinja::Interpreter interpreter(named.program, std::move(variables),
                                 input.now ? *input.now : local_time());
  try {
    const jinja::TextRef text = interpreter.run();
    return {text->bytes(), text->input()};
  } catch (const jinja::Raised&) {
    throw;
  } catch (const Fault& fault) {
    throw Fault(fmt::format("line {}: {}", interpreter.line(), fault.what()));
  }
}

}  // namespace

void fail_template(std::string_view origin, std::string_view message) {
  throw Error(ErrorKind::format,
              fmt::format("{}: {}", printable_path(origin), printable(message, 1000)));
}

NamedTemplate parse_named(std::string name, std::string_view source) {
  NamedTemplate result{std::move(name), {}, {}};
  try {
    if (source.size() > kMaxTemplateBytes)
      throw Fault(fmt::format("expected a template of at most {} bytes, got {}", kMaxTemplateBytes,
                              source.size()));
    if (!is_utf8(source)) throw Fault("expected a template in UTF-8");
    result.program = jinja::parse_program(source);
  } catch (const Fault& fault) {
    result.fault = fault.what();
  }
  return result;
}

JinjaTemplate JinjaTemplate::parse(std::string_view source) {
  auto templates = std::make_shared<std::vector<NamedTemplate>>();
  templates->push_back(parse_named("default", source));
  Impl impl{"chat template", templates, std::nullopt, std::nullopt};
  if (!templates->front().fault.empty()) fail_template(impl.origin, templates->front().fault);
  return JinjaTemplate(std::make_shared<const Impl>(std::move(impl)));
}

JinjaTemplate JinjaTemplate::chatml() {
  static const JinjaTemplate chatml = [] {
    Impl impl = *parse(kChatml).impl_;
    impl.origin = "ChatML";
    return JinjaTemplate(std::make_shared<const Impl>(std::move(impl)));
  }();
  return chatml;
}

ChatText JinjaTemplate::render(const ChatTemplateInput& input) const {
  const jinja::Meter meter(input.limits);
  try {
    return rendered(*impl_, input);
  } catch (const jinja::Raised& raised) {
    throw ChatTemplateRefusal(raised.what());
  } catch (const InputFault& fault) {
    throw Error(ErrorKind::format, printable(fault.what(), 1000));
  } catch (const Fault& fault) {
    fail_template(impl_->origin, fault.what());
  }
}

const std::optional<std::string>& JinjaTemplate::bos_token() const { return impl_->bos; }
const std::optional<std::string>& JinjaTemplate::eos_token() const { return impl_->eos; }
bool JinjaTemplate::uses(std::string_view name) const {
  return std::ranges::any_of(*impl_->templates, [&](const NamedTemplate& one) {
    return one.program.names.contains(name);
  });
}

const std::string& JinjaTemplate::origin() const { return impl_->origin; }

JinjaTemplate JinjaTemplate::with_tokens(std::optional<std::string> bos,
                                         std::optional<std::string> eos) const {
  Impl impl = *impl_;
  impl.bos = std::move(bos);
  impl.eos = std::move(eos);
  return JinjaTemplate(std::make_shared<const Impl>(std::move(impl)));
}

}  // namespace bitaxon
